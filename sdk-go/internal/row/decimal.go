package row

import (
	"unsafe"

	"github.com/tidemill/tidemill/sdk-go/internal/frame"
	"github.com/tidemill/tidemill/sdk-go/internal/int128"
)

// ValueError is a value that its column cannot hold.
type ValueError struct {
	Row     int // among those that were written
	Column  string
	Message string
}

func (e *ValueError) Error() string { return "column " + e.Column + ": " + e.Message }

// fit is the number of a decimal at its column's scale, and whether it is exactly one with the column's digits.
func (f *Field) fit(d *decimal) (n int128.Int, ok bool) {
	n, ok = d.unscaled, true
	if by := int(f.Type.Scale) - int(d.scale); by > 0 {
		n, ok = n.Mul(int128.Ten(by))
	} else if by < 0 {
		n, ok = n.Over10(-by)
	}
	return n, ok && n.Within(f.limit)
}

func (f *Field) misfit(row int, d *decimal) error {
	plain := Type{ID: f.Type.ID, Digits: f.Type.Digits, Scale: f.Type.Scale}
	return &ValueError{row, f.Name, d.unscaled.Text(int(d.scale)) + " is no " + plain.String()}
}

// rescale brings a decimal to its column's scale, where it is exactly a number of its column.
func (f *Field) rescale(d *decimal) bool {
	n, ok := f.fit(d)
	if ok {
		*d = decimal{n, f.Type.Scale}
	}
	return ok
}

// HasDecimals says whether rows have decimals or lists of them.
func (l *Layout) HasDecimals() bool { return len(l.decimals) > 0 }

// Rescale brings the decimals of a row to their columns' scales, as they are when they have been stored and come back. The error is
// a *ValueError: one is not exactly a number of its column.
func (l *Layout) Rescale(row unsafe.Pointer) error {
	for i := range l.decimals {
		f := &l.decimals[i]
		p := unsafe.Add(row, f.at)
		if f.Nullable && !*(*bool)(unsafe.Add(row, f.valid)) {
			continue
		}
		if f.element == nil {
			if d := (*decimal)(p); !f.rescale(d) {
				return f.misfit(0, d)
			}
			continue
		}
		for j, list := 0, *(*[]decimal)(p); j < len(list); j++ {
			if !f.element.rescale(&list[j]) {
				return f.element.misfit(0, &list[j])
			}
		}
	}
	return nil
}

// readDecimals reads n numbers from a column.
func (f *Field) readDecimals(c *frame.Column, from, n int, to unsafe.Pointer, size uintptr) {
	at := uintptr(0)
	for _, v := range unsafe.Slice((*int128.Int)(c.Values), from+n)[from:] {
		*(*decimal)(unsafe.Add(to, at)) = decimal{v, f.Type.Scale}
		at += size
	}
}

// writeDecimals writes the decimals of rows, from their offset at, to a buffer.
func (f *Field) writeDecimals(to unsafe.Pointer, rows *Rows, at uintptr) error {
	for i := range rows.N {
		d := (*decimal)(unsafe.Add(rows.row(i), at))
		n, ok := f.fit(d)
		if !ok {
			return f.misfit(i, d)
		}
		*(*int128.Int)(unsafe.Add(to, 16*i)) = n
	}
	return nil
}
