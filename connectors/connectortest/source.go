package connectortest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/tidemill/tidemill/connectors"
	"github.com/tidemill/tidemill/runtime/record"
)

// Source describes a bounded source for TestSource.
type Source struct {
	// New makes the source anew, as a restart does; the data stays.
	New func(t *testing.T) connectors.Source
	// Want are all records as lines of JSON, members in the order of the schema, from an independent origin. Bad records count as
	// Bad.
	Want []string
	Bad  int
	// SplitsMin is the least number of splits that show that the source is cut as it should.
	SplitsMin int
}

// TestSource runs the suite on a source.
func TestSource(t *testing.T, s Source) {
	t.Run("splits", func(t *testing.T) { testSplits(t, s) })
	t.Run("restore", func(t *testing.T) { testRestore(t, s) })
	t.Run("cancel", func(t *testing.T) { testCancel(t, s) })
}

// delivery is what came out of a split, in order: lines of JSON, and "bad: " with the position for bad records. after[i] is the
// position after delivery i, where a call of Next ended there.
type delivery struct {
	items []string
	after map[int]record.Position
}

// read reads a split from a position to its end in steps of random sizes.
func read(t *testing.T, src connectors.Source, schema *record.Schema, split connectors.Split, at record.Position,
	random *rand.Rand) delivery {
	t.Helper()
	ctx := context.Background()
	r, err := src.Open(ctx, split, at)
	if err != nil {
		t.Fatalf("opening split %s at %+v: %v", split.ID, at, err)
	}
	defer r.Close()
	if got := r.Position(); got.Records != at.Records {
		t.Fatalf("split %s opened at %+v is at %+v", split.ID, at, got)
	}
	d := delivery{after: map[int]record.Position{0: r.Position()}}
	for {
		b := record.NewBatch(schema, 16)
		most := 1 + random.IntN(40)
		if random.IntN(4) == 0 {
			most = record.RowsMax
		}
		var bad []connectors.BadRecord
		err := r.Next(ctx, b, most, &bad)
		if err == io.EOF {
			if b.Rows+len(bad) > 0 {
				t.Fatalf("split %s: EOF with %d rows and %d bad records", split.ID, b.Rows, len(bad))
			}
			break
		}
		if err != nil {
			t.Fatalf("split %s: %v", split.ID, err)
		}
		if err := CheckBatch(b); err != nil {
			t.Fatalf("split %s: %v", split.ID, err)
		}
		if n := b.Rows + len(bad); n == 0 || n > most {
			t.Fatalf("split %s: Next returned %d records of at most %d", split.ID, n, most)
		}
		d.items = append(d.items, merge(t, b, bad)...)
		p := r.Position()
		if p.Records != at.Records+int64(len(d.items)) {
			t.Fatalf("split %s: position %+v after %d records from %+v", split.ID, p, len(d.items), at)
		}
		d.after[len(d.items)] = p
	}
	b, bad := record.NewBatch(schema, 16), []connectors.BadRecord(nil)
	if err := r.Next(ctx, b, 10, &bad); err != io.EOF {
		t.Fatalf("split %s: after EOF comes %v", split.ID, err)
	}
	end := r.Position()
	if !end.Done {
		t.Fatalf("split %s: position %+v at its end is not done", split.ID, end)
	}
	d.after[len(d.items)] = end
	return d
}

// merge puts rows and bad records in the order of their positions.
func merge(t *testing.T, b *record.Batch, bad []connectors.BadRecord) []string {
	lines := Lines(b)
	var items []string
	row := 0
	for _, r := range bad {
		for row < b.Rows && b.Pos[row] < r.At {
			items = append(items, lines[row])
			row++
		}
		if r.Reason == nil {
			t.Fatalf("the bad record at %d has no reason", r.At)
		}
		items = append(items, fmt.Sprintf("bad: %d", r.At))
	}
	return append(items, lines[row:]...)
}

// discover returns all splits of a bounded source, and the enumerator's state after them.
func discover(t *testing.T, src connectors.Source, state []byte) ([]connectors.Split, []byte) {
	t.Helper()
	ctx := context.Background()
	e, err := src.Enumerator(ctx, state)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	var all []connectors.Split
	seen := map[string]bool{}
	for done := false; !done; {
		var splits []connectors.Split
		if splits, done, err = e.Discover(ctx); err != nil {
			t.Fatal(err)
		}
		for _, s := range splits {
			if seen[s.ID] {
				t.Fatalf("split %s was discovered twice", s.ID)
			}
			seen[s.ID] = true
		}
		all = append(all, splits...)
	}
	snapshot, err := e.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	return all, snapshot
}

func schemaOf(t *testing.T, src connectors.Source) *record.Schema {
	t.Helper()
	schema, err := src.Schema(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return schema
}

func testSplits(t *testing.T, s Source) {
	src := s.New(t)
	if !src.Bounded() {
		t.Fatal("the suite is for bounded sources")
	}
	schema := schemaOf(t, src)
	splits, state := discover(t, src, nil)
	if len(splits) < s.SplitsMin {
		t.Errorf("%d splits, want %d", len(splits), s.SplitsMin)
	}
	random := rand.New(rand.NewPCG(1, 0))
	var got []string
	bad := 0
	for _, split := range splits {
		for _, item := range read(t, src, schema, split, record.Position{}, random).items {
			if len(item) > 4 && item[:4] == "bad:" {
				bad++
				continue
			}
			got = append(got, item)
		}
	}
	if bad != s.Bad {
		t.Errorf("%d bad records, want %d", bad, s.Bad)
	}
	if diff := Difference(got, s.Want); diff != "" {
		t.Errorf("over %d splits: %s", len(splits), diff)
	}
	if state == nil {
		t.Fatal("the enumerator has no state after it returned splits")
	}
	if again, _ := discover(t, s.New(t), state); len(again) > 0 {
		t.Errorf("a restored enumerator returned %d splits again", len(again))
	}
}

// testRestore opens each split again at every position of a walk, with a source made anew, and wants exactly the rest.
func testRestore(t *testing.T, s Source) {
	for seed := uint64(1); seed <= 2; seed++ {
		random := rand.New(rand.NewPCG(seed, 0))
		src := s.New(t)
		schema := schemaOf(t, src)
		splits, _ := discover(t, src, nil)
		for _, split := range splits {
			split = throughJSON(t, split)
			whole := read(t, src, schema, split, record.Position{}, random)
			for n, at := range whole.after {
				if len(whole.after) > 20 && n != 0 && n != len(whole.items) && random.IntN(len(whole.after)) > 20 {
					continue
				}
				at.Done = false // a checkpoint may come between the last record and the reader's word that it was the last
				rest := read(t, s.New(t), schema, split, throughJSON(t, at), random)
				if !slices.Equal(rest.items, whole.items[n:]) {
					t.Fatalf("seed %d: split %s from %+v gives %d records, want %d: %s", seed, split.ID, at, len(rest.items),
						len(whole.items)-n, Difference(rest.items, whole.items[n:]))
				}
			}
		}
	}
}

// throughJSON is v as it comes out of a checkpoint.
func throughJSON[T any](t *testing.T, v T) T {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	var out T
	if err := json.Unmarshal(text, &out); err != nil {
		t.Fatal(err)
	}
	return out
}

func testCancel(t *testing.T, s Source) {
	src := s.New(t)
	schema := schemaOf(t, src)
	splits, _ := discover(t, src, nil)
	if len(splits) == 0 {
		return
	}
	r, err := src.Open(context.Background(), splits[0], record.Position{})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	before := r.Position()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	var bad []connectors.BadRecord
	b := record.NewBatch(schema, 16)
	if err := r.Next(ctx, b, 10, &bad); !errors.Is(err, context.Canceled) || b.Rows+len(bad) > 0 {
		t.Errorf("with a cancelled context Next returns %v and %d rows", err, b.Rows)
	}
	if got := r.Position(); got != before {
		t.Errorf("a cancelled Next moved the position from %+v to %+v", before, got)
	}
}

// Difference says how two lists differ as multisets, "" where they do not.
func Difference(got, want []string) string {
	count := map[string]int{}
	for _, w := range want {
		count[w]--
	}
	for _, g := range got {
		count[g]++
	}
	out, shown := "", 0
	for line, n := range count {
		if n == 0 {
			continue
		}
		if shown++; shown <= 5 {
			out += fmt.Sprintf("\n%+d %s", n, line)
		}
	}
	if shown == 0 {
		return ""
	}
	return fmt.Sprintf("%d records, want %d; %d lines differ:%s", len(got), len(want), shown, out)
}
