package record

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
)

var batchSchema = &Schema{Fields: []Field{
	{Name: "at", Type: Timestamp}, {Name: "name", Type: UTF8, Nullable: true}, {Name: "flag", Type: Bool}, {Name: "small", Type: I16, Nullable: true},
}}

// randomBatch is a batch and, as the model, a text a row with everything that belongs to it.
func randomBatch(rng *rand.Rand, origins []*Origin, kinds, aliased bool) (*Batch, []string) {
	rows := rng.IntN(40)
	b := NewBatch(batchSchema, rows)
	b.Rows = rows
	var model []string
	for i := range rows {
		at := rng.Int64N(1000)
		b.Columns[0].AppendInt(at)
		name, small := "null", "null"
		if rng.IntN(4) == 0 {
			b.Columns[1].AppendNull()
		} else {
			name = fmt.Sprintf("%0*d", rng.IntN(9), rng.IntN(100))
			b.Columns[1].AppendString(name)
		}
		flag := rng.Int64N(2)
		b.Columns[2].AppendInt(flag)
		if rng.IntN(3) == 0 {
			b.Columns[3].AppendNull()
		} else {
			v := rng.Int64N(60000) - 30000
			b.Columns[3].AppendInt(v)
			small = fmt.Sprint(v)
		}
		if !aliased {
			b.EventTime = append(b.EventTime, at+7)
			at += 7
		}
		pos := rng.Int64N(1 << 40)
		b.Pos = append(b.Pos, pos)
		kind := 0
		if kinds {
			kind = rng.IntN(4)
			b.Kinds = append(b.Kinds, byte(kind))
		}
		if i == 0 || rng.IntN(5) == 0 {
			if o := origins[rng.IntN(len(origins))]; len(b.Runs) == 0 || b.Runs[len(b.Runs)-1].Origin != o {
				b.Runs = append(b.Runs, Run{Row: i, Origin: o})
			}
		}
		model = append(model, fmt.Sprint(at, name, flag, small, pos, kind, b.Runs[len(b.Runs)-1].Origin.Split))
	}
	if aliased {
		b.EventTime = b.Columns[0].Int64s()
	}
	return b, model
}

// lines is a batch in the model's form.
func lines(b *Batch) []string {
	var list []string
	for i := range b.Rows {
		name, small, kind := "null", "null", 0
		if !b.Columns[1].Null(i) {
			name = string(b.Columns[1].Bytes(i))
		}
		if !b.Columns[3].Null(i) {
			small = fmt.Sprint(b.Columns[3].Int(i))
		}
		if b.Kinds != nil {
			kind = int(b.Kinds[i])
		}
		list = append(list, fmt.Sprint(b.EventTime[i], name, b.Columns[2].Int(i), small, b.Pos[i], kind, b.Origin(i).Split))
	}
	return list
}

func TestBatchAgainstModel(t *testing.T) {
	for seed := range uint64(2000) {
		rng := rand.New(rand.NewPCG(seed, 3))
		origins := []*Origin{{Split: "a"}, {Split: "b"}, {Split: "c"}}
		aliased := rng.IntN(2) == 0
		var parts []*Batch
		var all []string
		for range 1 + rng.IntN(4) {
			b, model := randomBatch(rng, origins, rng.IntN(2) == 0, aliased)
			check(t, seed, "built", lines(b), model)

			from := rng.IntN(b.Rows + 1)
			to := from + rng.IntN(b.Rows-from+1)
			check(t, seed, "sliced", lines(b.Slice(from, to)), model[from:to])

			var rows []int32
			var taken []string
			for i := range b.Rows {
				if rng.IntN(2) == 0 {
					rows, taken = append(rows, int32(i)), append(taken, model[i])
				}
			}
			got := b.Take(rows)
			check(t, seed, "taken", lines(got), taken)
			if got.Rows > 0 && aliased != (&got.EventTime[0] == &got.Columns[0].Int64s()[0]) {
				t.Fatalf("seed %d: event time and its column: shared before %t, and not so after", seed, aliased)
			}
			check(t, seed, "after it all", lines(b), model)
			parts, all = append(parts, b), append(all, model...)
		}
		check(t, seed, "joined", lines(Concat(parts)), all)
	}
}

func check(t *testing.T, seed uint64, what string, got, want []string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Fatalf("seed %d, %s:\ngot  %q\nwant %q", seed, what, got, want)
	}
}
