package blackhole

import (
	"context"
	"testing"

	"github.com/tidemill/tidemill/runtime/record"
)

func TestCounts(t *testing.T) {
	var s Sink
	schema := &record.Schema{Fields: []record.Field{{Name: "n", Type: record.I64}}}
	for subtask := range 2 {
		w, err := s.Writer(context.Background(), subtask, schema, nil)
		if err != nil {
			t.Fatal(err)
		}
		b := record.NewBatch(schema, 3)
		for range 3 {
			b.Columns[0].AppendInt(1)
			b.Rows++
		}
		if err := w.Write(b); err != nil {
			t.Fatal(err)
		}
	}
	if s.Rows() != 6 || s.Bytes() != 48 {
		t.Errorf("%d rows, %d bytes", s.Rows(), s.Bytes())
	}
}
