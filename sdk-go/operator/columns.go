package operator

// Bits is a column of booleans, or which rows of a column are valid: bit i%8 of byte i/8 is row i.
type Bits struct {
	Bytes []byte
	Len   int
}

// At is row i.
func (b *Bits) At(i int) bool { return b.Bytes[i>>3]>>(i&7)&1 != 0 }

// Append adds a row.
func (b *Bits) Append(v bool) {
	if b.Len&7 == 0 {
		b.Bytes = append(b.Bytes[:b.Len>>3], 0)
	}
	if v {
		b.Bytes[b.Len>>3] |= 1 << (b.Len & 7)
	}
	b.Len++
}

// Reset removes all rows and keeps the memory.
func (b *Bits) Reset() { b.Bytes, b.Len = b.Bytes[:0], 0 }

// Texts is a column of strings or of byte slices: row i is Bytes[Offsets[i]:Offsets[i+1]]. The zero Texts has no rows.
type Texts[T string | []byte] struct {
	Offsets []int32
	Bytes   []byte
}

// Len is the number of rows.
func (t *Texts[T]) Len() int { return max(0, len(t.Offsets)-1) }

// At is row i, copied: use Bytes to look at it in place.
func (t *Texts[T]) At(i int) T { return T(t.Bytes[t.Offsets[i]:t.Offsets[i+1]]) }

// Append adds a row.
func (t *Texts[T]) Append(v T) {
	if len(t.Offsets) == 0 {
		t.Offsets = append(t.Offsets, 0)
	}
	t.Bytes = append(t.Bytes, v...)
	t.Offsets = append(t.Offsets, int32(len(t.Bytes)))
}

// Reset removes all rows and keeps the memory.
func (t *Texts[T]) Reset() { t.Offsets, t.Bytes = t.Offsets[:0], t.Bytes[:0] }

// Lists is a column of lists: row i are the elements from Offsets[i] on and before Offsets[i+1]. Column is a slice of numbers, Bits or
// Texts. The zero Lists has no rows.
type Lists[Column any] struct {
	Offsets  []int32
	Elements Column
}

// Len is the number of rows.
func (l *Lists[Column]) Len() int { return max(0, len(l.Offsets)-1) }

// At are the places of row i among the elements: from the first on and before the second.
func (l *Lists[Column]) At(i int) (from, to int) { return int(l.Offsets[i]), int(l.Offsets[i+1]) }

// Append adds a row of the next n elements, which are to be appended to Elements.
func (l *Lists[Column]) Append(n int) {
	if len(l.Offsets) == 0 {
		l.Offsets = append(l.Offsets, 0)
	}
	l.Offsets = append(l.Offsets, l.Offsets[len(l.Offsets)-1]+int32(n))
}

// Reset removes all rows and keeps the memory, but for Elements, which are the caller's.
func (l *Lists[Column]) Reset() { l.Offsets = l.Offsets[:0] }

// Nulls is a column some of whose rows may be null. Column is a slice of numbers, Bits, Texts or Lists.
type Nulls[Column any] struct {
	Column Column // what stands in the place of a null does not count
	Valid  Bits   // empty where no row is null
}

// Null says whether row i is null.
func (n *Nulls[Column]) Null(i int) bool { return n.Valid.Len > 0 && !n.Valid.At(i) }
