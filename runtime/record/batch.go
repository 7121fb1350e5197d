package record

import (
	"math"
	"unsafe"
)

// RowsMax is the greatest number of rows of a batch.
const RowsMax = 4096

// Row kinds of a changelog, as in Flink. A batch without Kinds is all Insert.
const (
	Insert       = 0
	UpdateBefore = 1
	UpdateAfter  = 2
	Delete       = 3
)

// Watermark values with a meaning of their own; all others are event times in us.
const (
	WatermarkNone int64 = math.MinInt64 // none yet
	WatermarkEnd  int64 = math.MaxInt64 // the end of input
)

// Origin names the split that records came from.
type Origin struct {
	Source string // the source's name in job.yaml
	Split  string
}

// Run says that the rows from Row up to the next run came from Origin.
type Run struct {
	Row    int
	Origin *Origin
}

// Batch is 0 to RowsMax rows of one schema. It is immutable after it has been emitted.
type Batch struct {
	Schema  *Schema
	Rows    int
	Columns []Column
	// EventTime is the event time of each row in us; nil where the stream has none.
	EventTime []int64
	// Kinds is the row kind of each row; nil where all are Insert.
	Kinds []byte
	// Pos is each record's place in its split: a byte offset, a log offset or an ordinal; nil where unknown. An operator's
	// output has the position of the row it came from, or -1.
	Pos []int64
	// Runs name the splits of the rows, in order of Row, the first at 0; empty where unknown.
	Runs []Run
}

// NewBatch returns an empty batch with room for rows rows.
func NewBatch(s *Schema, rows int) *Batch {
	b := &Batch{Schema: s, Columns: make([]Column, len(s.Fields))}
	for i, f := range s.Fields {
		b.Columns[i] = NewColumn(f.Type, rows)
	}
	return b
}

// Origin returns the origin of a row, or nil.
func (b *Batch) Origin(row int) *Origin {
	var o *Origin
	for i := range b.Runs {
		if b.Runs[i].Row > row {
			break
		}
		o = b.Runs[i].Origin
	}
	return o
}

// Size is the number of bytes that the batch's buffers hold.
func (b *Batch) Size() int {
	n := 8*len(b.EventTime) + 8*len(b.Pos) + len(b.Kinds)
	for i := range b.Columns {
		n += b.Columns[i].Size()
	}
	return n
}

// Take returns the rows listed, in ascending order, as a batch of its own.
func (b *Batch) Take(rows []int32) *Batch {
	out := &Batch{Schema: b.Schema, Rows: len(rows), Columns: make([]Column, len(b.Columns))}
	for i := range b.Columns {
		out.Columns[i] = b.Columns[i].Take(rows)
	}
	switch i := b.eventTimeColumn(); {
	case b.EventTime == nil:
	case i >= 0 && len(rows) > 0:
		out.EventTime = out.Columns[i].Int64s()
	default:
		out.EventTime = takeInts(b.EventTime, rows)
	}
	if b.Pos != nil {
		out.Pos = takeInts(b.Pos, rows)
	}
	if b.Kinds != nil {
		out.Kinds = make([]byte, len(rows))
		for i, r := range rows {
			out.Kinds[i] = b.Kinds[r]
		}
	}
	out.Runs = takeRuns(b.Runs, rows)
	return out
}

// eventTimeColumn is the column that EventTime is a view of, as a source makes it, or -1.
func (b *Batch) eventTimeColumn() int {
	for i := range b.Columns {
		c := &b.Columns[i]
		if c.Type.Width() == 8 && c.Nulls == 0 && b.Rows > 0 && unsafe.SliceData(c.Int64s()) == unsafe.SliceData(b.EventTime) {
			return i
		}
	}
	return -1
}

func takeInts(from []int64, rows []int32) []int64 {
	out := make([]int64, len(rows))
	for i, r := range rows {
		out[i] = from[r]
	}
	return out
}

func takeRuns(runs []Run, rows []int32) []Run {
	if len(runs) == 1 {
		return runs
	}
	var out []Run
	next := 0
	for i := range runs {
		end := int32(math.MaxInt32)
		if i+1 < len(runs) {
			end = int32(runs[i+1].Row)
		}
		first := next
		for next < len(rows) && rows[next] < end {
			next++
		}
		if next > first {
			out = append(out, Run{Row: first, Origin: runs[i].Origin})
		}
	}
	return out
}

// Slice returns rows [from, to), sharing buffers where it can.
func (b *Batch) Slice(from, to int) *Batch {
	if from == 0 && to == b.Rows {
		return b
	}
	out := &Batch{Schema: b.Schema, Rows: to - from, Columns: make([]Column, len(b.Columns))}
	for i := range b.Columns {
		out.Columns[i] = b.Columns[i].Slice(from, to)
	}
	if b.EventTime != nil {
		out.EventTime = b.EventTime[from:to]
	}
	if b.Pos != nil {
		out.Pos = b.Pos[from:to]
	}
	if b.Kinds != nil {
		out.Kinds = b.Kinds[from:to]
	}
	for i, r := range b.Runs {
		end := b.Rows
		if i+1 < len(b.Runs) {
			end = b.Runs[i+1].Row
		}
		if end > from && r.Row < to {
			out.Runs = append(out.Runs, Run{Row: max(r.Row-from, 0), Origin: r.Origin})
		}
	}
	return out
}

// Concat joins batches of one schema into one; all or none of them have event times and positions. The parts are unchanged.
func Concat(parts []*Batch) *Batch {
	if len(parts) == 1 {
		return parts[0]
	}
	rows := 0
	for _, p := range parts {
		rows += p.Rows
	}
	out := NewBatch(parts[0].Schema, rows)
	for _, p := range parts {
		for _, r := range p.Runs {
			if n := len(out.Runs); n > 0 && out.Runs[n-1].Origin == r.Origin {
				continue
			}
			out.Runs = append(out.Runs, Run{Row: out.Rows + r.Row, Origin: r.Origin})
		}
		for i := range p.Columns {
			out.Columns[i].AppendRange(&p.Columns[i], 0, p.Rows)
		}
		out.EventTime = append(out.EventTime, p.EventTime...)
		out.Pos = append(out.Pos, p.Pos...)
		if p.Kinds != nil && out.Kinds == nil {
			out.Kinds = make([]byte, out.Rows, rows)
		}
		if out.Kinds != nil {
			if p.Kinds != nil {
				out.Kinds = append(out.Kinds, p.Kinds...)
			} else {
				out.Kinds = append(out.Kinds, make([]byte, p.Rows)...)
			}
		}
		out.Rows += p.Rows
	}
	return out
}

// Position is how far a split has been read: everything before it was delivered. It is comparable, and JSON in checkpoints.
type Position struct {
	Offset  int64  `json:"offset"`          // byte offset of the next record, or its log offset
	Records int64  `json:"records"`         // records delivered from the split so far, bad ones included
	Token   string `json:"token,omitempty"` // what a service needs to go on (a sequence number), opaque to the host
	Done    bool   `json:"done,omitempty"`  // the split has been read to its end
}
