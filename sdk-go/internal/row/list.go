package row

import (
	"unsafe"

	"github.com/tidemill/tidemill/sdk-go/internal/abi"
	"github.com/tidemill/tidemill/sdk-go/internal/frame"
)

// lists reads n lists from a column, which is followed by that of its elements: all elements to one run of the arena, of which each
// list is a part.
func (f *reading) lists(columns []frame.Column, from, n int, to unsafe.Pointer, size uintptr, arena *Arena) {
	offsets := unsafe.Slice((*int32)(columns[0].Offsets), from+n+1)[from:]
	start := offsets[0]
	count := int(offsets[n] - start)
	e := f.items
	elements := arena.elements(e.Type.ID, count, e.size)
	e.column(&columns[1], int(start), count, elements, e.size)
	at := uintptr(0)
	for _, end := range offsets[1:] {
		length := int(end - start)
		s := slice{len: length, cap: length}
		if length > 0 {
			s.data = elements
			elements = unsafe.Add(elements, uintptr(length)*e.size)
		}
		*(*slice)(unsafe.Add(to, at)) = s
		start = end
		at += size
	}
}

// column reads n values of a column, none of them null.
func (f *reading) column(c *frame.Column, from, n int, to unsafe.Pointer, size uintptr) {
	switch {
	case c.Values == nil:
		f.empty(n, to, size)
	case copy8 <= f.convert && f.convert <= copy64:
		source := unsafe.Add(c.Values, from*int(size))
		copy(unsafe.Slice((*byte)(to), n*int(size)), unsafe.Slice((*byte)(source), n*int(size)))
	default:
		f.values(c, from, n, to, size)
	}
}

// writeLists writes the offsets of lists, and their elements as the column behind theirs.
func (f *Field) writeLists(b *frame.Builder, node int, rows *Rows) error {
	from := *rows
	from.At = unsafe.Add(rows.At, f.at)
	offsets := unsafe.Slice((*int32)(b.Buffer(node+24, (from.N+1)*4)), from.N+1)
	offsets[0] = 0
	total := 0
	for i := range from.N {
		total += (*slice)(from.row(i)).len
		offsets[i+1] = int32(total)
	}
	child := node + abi.NodeSize
	b.PutU32(child+4, uint32(total))
	if total == 0 {
		return nil
	}
	switch e := f.element; e.Type.ID {
	case abi.Bool:
		writeBitLists(b, child, total, &from)
	case abi.UTF8, abi.Binary:
		writeTextLists(b, child, total, e.size, &from)
	case abi.Decimal128:
		return e.writeDecimalLists(b.Buffer(child+32, total*width(abi.Decimal128)), &from)
	default:
		to := unsafe.Slice((*byte)(b.Buffer(child+32, total*int(e.size))), total*int(e.size))
		for i := range from.N {
			s := (*slice)(from.row(i))
			to = to[copy(to, unsafe.Slice((*byte)(s.data), s.len*int(e.size))):]
		}
	}
	return nil
}

func writeBitLists(b *frame.Builder, node, total int, lists *Rows) {
	n := (total + 7) / 8
	bits := unsafe.Slice((*byte)(b.Buffer(node+32, n)), n)
	clear(bits)
	bit := 0
	for i := range lists.N {
		for _, v := range *(*[]bool)(lists.row(i)) {
			if v {
				bits[bit>>3] |= 1 << (bit & 7)
			}
			bit++
		}
	}
}

// writeTextLists looks, as writeTexts, at the pointer and length with which strings and byte slices begin.
func writeTextLists(b *frame.Builder, node, total int, size uintptr, lists *Rows) {
	offsets := unsafe.Slice((*int32)(b.Buffer(node+24, (total+1)*4)), total+1)
	offsets[0] = 0
	bytes, at := int32(0), 0
	for i := range lists.N {
		s := (*slice)(lists.row(i))
		for j := range s.len {
			bytes += int32(len(*(*string)(unsafe.Add(s.data, uintptr(j)*size))))
			at++
			offsets[at] = bytes
		}
	}
	to := unsafe.Slice((*byte)(b.Buffer(node+32, int(bytes))), bytes)
	for i := range lists.N {
		s := (*slice)(lists.row(i))
		for j := range s.len {
			to = to[copy(to, *(*string)(unsafe.Add(s.data, uintptr(j)*size))):]
		}
	}
}

func (f *Field) writeDecimalLists(to unsafe.Pointer, lists *Rows) error {
	for i := range lists.N {
		s := (*slice)(lists.row(i))
		if err := f.writeDecimals(to, &Rows{At: s.data, Size: f.size, N: s.len}, 0); err != nil {
			err.(*ValueError).Row = i
			return err
		}
		to = unsafe.Add(to, s.len*width(abi.Decimal128))
	}
	return nil
}

// listBytes is what the elements of a list take in an answer.
func (f *Field) listBytes(s *slice) int {
	e := f.element
	n := s.len * width(e.Type.ID)
	if e.Type.ID == abi.UTF8 || e.Type.ID == abi.Binary {
		for i := range s.len {
			n += len(*(*string)(unsafe.Add(s.data, uintptr(i)*e.size)))
		}
	}
	return n
}

// ownList replaces a list, and byte slices in it, by copies in the arena.
func (f *Field) ownList(a *Arena, s *slice) {
	e := f.element
	to := a.elements(e.Type.ID, s.len, e.size)
	switch e.Type.ID {
	case abi.UTF8:
		copy(unsafe.Slice((*string)(to), s.len), unsafe.Slice((*string)(s.data), s.len))
	case abi.Binary:
		own := unsafe.Slice((*[]byte)(to), s.len)
		for i, b := range unsafe.Slice((*[]byte)(s.data), s.len) {
			own[i] = a.clone(b)
		}
	default:
		copy(unsafe.Slice((*byte)(to), s.len*int(e.size)), unsafe.Slice((*byte)(s.data), s.len*int(e.size)))
	}
	*s = slice{to, s.len, s.len}
}
