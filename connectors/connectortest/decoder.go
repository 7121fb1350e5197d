package connectortest

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/tidemill/tidemill/connectors"
	"github.com/tidemill/tidemill/connectors/format"
	"github.com/tidemill/tidemill/internal/errcode"
	"github.com/tidemill/tidemill/runtime/record"
)

// Decoded is what a decoder made of some bytes.
type Decoded struct {
	Rows []string // as JSON
	Bad  []connectors.BadRecord
	// All has rows and bad records in order, with position and line: what must not depend on how the bytes came.
	All []string
}

// Decode runs a decoder over data as a whole, and again in pieces cut at places that the seed chooses and batches of random sizes.
// It fails the test where the two differ, where a batch is not well-formed, or where a bad record lacks its place or code.
func Decode(t testing.TB, newDecoder func() format.Decoder, schema *record.Schema, data []byte, seed uint64) Decoded {
	t.Helper()
	whole := decodePieces(t, newDecoder(), schema, data, nil)
	random := rand.New(rand.NewPCG(seed, 0))
	pieces := decodePieces(t, newDecoder(), schema, data, random)
	if !slices.Equal(whole.All, pieces.All) {
		t.Fatalf("seed %d: in pieces %q decodes to\n%s\nas a whole to\n%s", seed, data, strings.Join(pieces.All, "\n"),
			strings.Join(whole.All, "\n"))
	}
	return whole
}

// decodePieces feeds a decoder as a reader of a file does. Without a random source it gives all at once.
func decodePieces(t testing.TB, dec format.Decoder, schema *record.Schema, data []byte, random *rand.Rand) Decoded {
	t.Helper()
	var out Decoded
	at, line, upTo := 0, int64(1), len(data)
	if random != nil {
		upTo = 0
	}
	for records := 0; ; {
		most := record.RowsMax
		if random != nil {
			most = 1 + random.IntN(5)
		}
		// A decoder must not look beyond its chunk: the copy ends there, and it is overwritten afterwards.
		chunk := slices.Clone(data[at:upTo])
		b := record.NewBatch(schema, 4)
		before := len(out.Bad)
		p := dec.Decode(format.Chunk{Data: chunk, Offset: int64(at), Line: line, Final: upTo == len(data)}, b, most, &out.Bad)
		for i := range chunk {
			chunk[i] = '~'
		}
		if err := CheckBatch(b); err != nil {
			t.Fatalf("%q: %v", data, err)
		}
		if n := b.Rows + len(out.Bad) - before; n != p.Records || n > most || p.Bytes > upTo-at {
			t.Fatalf("%q: %d rows and bad records of at most %d, progress %+v", data, n, most, p)
		}
		out.add(t, b, out.Bad[before:])
		records += p.Records
		at += p.Bytes
		line += p.Lines
		if p.Records == most {
			continue
		}
		if upTo == len(data) {
			if at != len(data) {
				t.Fatalf("%q: %d bytes are left at the end", data, len(data)-at)
			}
			return out
		}
		upTo = min(upTo+1+random.IntN(12), len(data))
	}
}

func (d *Decoded) add(t testing.TB, b *record.Batch, bad []connectors.BadRecord) {
	t.Helper()
	lines := Lines(b)
	d.Rows = append(d.Rows, lines...)
	row := 0
	for _, r := range bad {
		for ; row < b.Rows && b.Pos[row] < r.At; row++ {
			d.All = append(d.All, fmt.Sprintf("%d %s", b.Pos[row], lines[row]))
		}
		e := errcode.Of(r.Reason)
		if e == nil || !strings.HasSuffix(e.Place, fmt.Sprintf("line %d, byte %d", r.Line, r.At)) || r.Line == 0 {
			t.Fatalf("bad record at %d, line %d: %v", r.At, r.Line, r.Reason)
		}
		d.All = append(d.All, fmt.Sprintf("%d bad, line %d: %q: %v", r.At, r.Line, r.Raw, r.Reason))
	}
	for ; row < b.Rows; row++ {
		d.All = append(d.All, fmt.Sprintf("%d %s", b.Pos[row], lines[row]))
	}
}

// Columns makes a schema of columns like "carrier utf8", "dep_delay i32?".
func Columns(t testing.TB, columns ...string) *record.Schema {
	t.Helper()
	var fields []record.Field
	for _, c := range columns {
		name, typ, _ := strings.Cut(c, " ")
		base, nullable := strings.CutSuffix(typ, "?")
		parsed, ok := record.ParseType(base)
		if !ok {
			t.Fatalf("column %q", c)
		}
		fields = append(fields, record.Field{Name: name, Type: parsed, Nullable: nullable})
	}
	s, err := record.NewSchema(fields)
	if err != nil {
		t.Fatal(err)
	}
	return s
}
