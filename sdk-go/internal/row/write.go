package row

import (
	"unsafe"

	"github.com/tidemill/tidemill/sdk-go/internal/abi"
	"github.com/tidemill/tidemill/sdk-go/internal/frame"
)

// Rows are rows in memory: n of them, Size bytes apart, or those that Index picks.
type Rows struct {
	At    unsafe.Pointer
	Size  uintptr
	N     int
	Index []uint32 // nil: all in order
}

func (r *Rows) row(i int) unsafe.Pointer {
	if r.Index != nil {
		i = int(r.Index[i])
	}
	return unsafe.Add(r.At, uintptr(i)*r.Size)
}

// Writing says how rows of a layout become the columns of a schema.
type Writing struct {
	Schema []abi.Field
	Nodes  int // of the columns, those of the elements of lists included
	fields []writing
	passed []passing
}

type writing struct {
	Field
	node int // place of the column among the nodes
}

// passing is a column that the host fills from the item.
type passing struct {
	node int
	typ  abi.Type
	flag uint16 // abi.NodeInput, abi.NodeKey
	ref  uint32 // index of the input or key column
}

// Plain is the writing of a layout without passed columns.
func (l *Layout) Plain() *Writing {
	w, err := l.Output(nil, nil)
	if err != nil {
		panic(err)
	}
	return w
}

// Output resolves the passed columns of an output row against the columns of its input port and the key columns.
func (l *Layout) Output(input, key []abi.Field) (*Writing, error) {
	return output(l.Fields, l.Passed, input, key)
}

func output(fields []Field, passed []Pass, input, key []abi.Field) (*Writing, error) {
	w := &Writing{}
	for f, p := 0, 0; f+p < len(fields)+len(passed); {
		if f < len(fields) && fields[f].column == f+p {
			field := fields[f]
			w.fields = append(w.fields, writing{field, w.Nodes})
			w.Nodes += field.Type.nodes()
			w.Schema = append(w.Schema, abi.Field{Name: field.Name, Type: field.Type.String(), Nullable: field.Nullable})
			f++
			continue
		}
		if err := w.pass(passed[p], input, key); err != nil {
			return nil, err
		}
		p++
	}
	return w, nil
}

func (w *Writing) pass(p Pass, input, key []abi.Field) error {
	from, flag, what := input, uint16(abi.NodeInput), "the input does not have it"
	if p.Key {
		from, flag, what = key, abi.NodeKey, "it is no key column"
	}
	found := false
	for i, column := range from {
		if p.Name != "" && column.Name != p.From {
			continue
		}
		found = true
		w.passed = append(w.passed, passing{w.Nodes, ParseType(column.Type).ID, flag, uint32(i)})
		w.Nodes++
		if p.Name != "" {
			column.Name = p.Name
		}
		w.Schema = append(w.Schema, column)
	}
	if !found && p.Name != "" {
		return &ColumnError{p.From, what}
	}
	return nil
}

// FromInput says whether rows take columns over from an input port.
func (l *Layout) FromInput() bool { return fromInput(l.Passed) }

func fromInput(passed []Pass) bool {
	for _, p := range passed {
		if !p.Key {
			return true
		}
	}
	return false
}

// Write writes rows as columns, whose nodes begin at an offset of the builder. It zeroes the values of null fields in the rows.
// The error is a *ValueError: a decimal that its column cannot hold.
func (w *Writing) Write(b *frame.Builder, nodes int, rows Rows) error {
	w.writePassed(b, nodes, rows.N)
	for i := range w.fields {
		f := &w.fields[i]
		node := f.writeNode(b, nodes, rows.N)
		if rows.N == 0 {
			continue
		}
		if f.Nullable {
			f.writeValidity(b, node, &rows)
		}
		if err := f.writeValues(b, node, &rows); err != nil {
			return err
		}
	}
	return nil
}

// writeNode writes what is known of a column before its values, and returns where its node is.
func (f *writing) writeNode(b *frame.Builder, nodes, rows int) int {
	node := nodes + f.node*abi.NodeSize
	b.PutU16(node, uint16(f.Type.ID))
	b.PutU32(node+4, uint32(rows))
	if f.element != nil {
		b.PutU32(node+12, 1)
		b.PutU16(node+abi.NodeSize, uint16(f.element.Type.ID))
	}
	return node
}

func (w *Writing) writePassed(b *frame.Builder, nodes, rows int) {
	for i := range w.passed {
		p := &w.passed[i]
		node := nodes + p.node*abi.NodeSize
		b.PutU16(node, uint16(p.typ))
		b.PutU16(node+2, p.flag)
		b.PutU32(node+4, uint32(rows))
		b.PutU32(node+32, p.ref)
	}
}

func (f *Field) writeValidity(b *frame.Builder, node int, rows *Rows) {
	nulls := 0
	for i := range rows.N {
		if r := rows.row(i); !*(*bool)(unsafe.Add(r, f.valid)) {
			f.zero(unsafe.Add(r, f.at))
			nulls++
		}
	}
	if nulls == 0 {
		return
	}
	b.PutU32(node+8, uint32(nulls))
	writeBits(b, node+16, rows, f.valid)
}

func writeBits(b *frame.Builder, span int, rows *Rows, at uintptr) {
	n := (rows.N + 7) / 8
	bits := unsafe.Slice((*byte)(b.Buffer(span, n)), n)
	clear(bits)
	for i := range rows.N {
		if *(*bool)(unsafe.Add(rows.row(i), at)) {
			bits[i>>3] |= 1 << (i & 7)
		}
	}
}

func (f *Field) writeValues(b *frame.Builder, node int, rows *Rows) error {
	switch f.Type.ID {
	case abi.Bool:
		writeBits(b, node+32, rows, f.at)
	case abi.UTF8, abi.Binary:
		writeTexts(b, node, rows, f.at)
	case abi.List:
		return f.writeLists(b, node, rows)
	default:
		to := b.Buffer(node+32, rows.N*int(f.width))
		switch f.width {
		case 1:
			gather[int8](to, rows, f.at)
		case 2:
			gather[int16](to, rows, f.at)
		case 4:
			gather[int32](to, rows, f.at)
		case 8:
			gather[int64](to, rows, f.at)
		case 16:
			return f.writeDecimals(to, rows, f.at)
		}
	}
	return nil
}

// gather copies the values of a field, four at a time: in a module a turn of a loop costs more than a copy.
func gather[T any](to unsafe.Pointer, rows *Rows, at uintptr) {
	out := unsafe.Slice((*T)(to), rows.N)
	from, size := unsafe.Add(rows.At, at), rows.Size
	if rows.Index != nil {
		for i, r := range rows.Index[:len(out)] {
			out[i] = *(*T)(unsafe.Add(from, uintptr(r)*size))
		}
		return
	}
	offset := uintptr(0)
	for ; len(out) >= 4; out = out[4:] {
		out[0] = *(*T)(unsafe.Add(from, offset))
		out[1] = *(*T)(unsafe.Add(from, offset+size))
		out[2] = *(*T)(unsafe.Add(from, offset+2*size))
		out[3] = *(*T)(unsafe.Add(from, offset+3*size))
		offset += 4 * size
	}
	for i := range out {
		out[i] = *(*T)(unsafe.Add(from, offset))
		offset += size
	}
}

// writeTexts writes the offsets and contents of strings or byte slices. Both begin with a pointer and a length, which is all that
// is looked at.
func writeTexts(b *frame.Builder, node int, rows *Rows, at uintptr) {
	n, size := rows.N, int32(0)
	offsets := unsafe.Slice((*int32)(b.Buffer(node+24, (n+1)*4)), n+1)
	offsets[0] = 0
	from := *rows
	from.At = unsafe.Add(rows.At, at)
	for i := range offsets[1:] {
		size += int32(len(*(*string)(from.row(i))))
		offsets[i+1] = size
	}
	to := unsafe.Slice((*byte)(b.Buffer(node+32, int(size))), size)
	for i := range n {
		to = to[copy(to, *(*string)(from.row(i))):]
	}
}
