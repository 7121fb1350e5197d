package source

import (
	"sync/atomic"

	"github.com/tidemill/tidemill/runtime/record"
)

// blank knows which columns of a source have had nothing but nulls so far: where all records lack a column, its name is likely
// misspelt, and no format can tell. It is safe for concurrent use.
type blank struct {
	records atomic.Int64
	filled  []atomic.Bool // by column
	told    atomic.Bool
}

// note takes in what a subtask hands out. It reads one number of a column and stores one, once, where that has a value.
func (n *blank) note(b *record.Batch) {
	n.records.Add(int64(b.Rows))
	for i := range b.Columns {
		if b.Columns[i].Nulls < b.Rows && !n.filled[i].Load() {
			n.filled[i].Store(true)
		}
	}
}

// columns lists those that had nothing but nulls, and in how many records; the first caller is told, and none after.
func (n *blank) columns(schema *record.Schema) (names []string, records int64) {
	records = n.records.Load()
	if records == 0 || n.told.Swap(true) {
		return nil, 0
	}
	for i := range n.filled {
		if !n.filled[i].Load() {
			names = append(names, schema.Fields[i].Name)
		}
	}
	return names, records
}
