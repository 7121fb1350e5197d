package state

import (
	"encoding/binary"
	"unicode/utf8"

	"github.com/tidemill/tidemill/runtime/record"
)

// A row at rest:
//
//	byte 0       flags: 1 a null bitmap follows, 2 the row ends with an expiry; others are refused
//	byte 1       schema version of the state; 1
//	             null bitmap, bit i (LSB first) set where field i is null
//	             fixed fields in declaration order, little-endian, a bool as one byte; zero where null
//	             utf8, binary and list fields in declaration order: length in bytes as uvarint, then the bytes; empty where null
//	last 8       the expiry, where there is one: i64, us of processing time, from which on the row is absent
//
// so that a row without nulls of fields of fixed size has one length and one place for each field. The bytes of a list are its
// elements end to end: of fixed types as above, a bool as one byte, utf8 and binary each with its length as uvarint before it.
const (
	rowNulls   = 1
	rowExpiry  = 2
	rowVersion = 1
	rowHeader  = 2
)

// Codec turns rows of columns into rows at rest and back. It is immutable and safe for concurrent use.
type Codec struct {
	fields    []record.Field
	fixed     []fixedField
	vars      []int // fields of variable length: utf8, binary and lists
	fixedSize int
	nullBytes int
}

type fixedField struct {
	field, at, width int
	bool             bool
}

// NewCodec makes the codec of fields.
func NewCodec(fields []record.Field) *Codec {
	c := &Codec{fields: fields, nullBytes: (len(fields) + 7) / 8}
	for i, f := range fields {
		if f.Type.HasOffsets() || f.Type.Kind() == record.List {
			c.vars = append(c.vars, i)
			continue
		}
		width := max(f.Type.Width(), 1)
		c.fixed = append(c.fixed, fixedField{i, c.fixedSize, width, f.Type == record.Bool})
		c.fixedSize += width
	}
	return c
}

// Word says whether a row is a single field of 8 bytes.
func (c *Codec) Word() bool { return len(c.fields) == 1 && c.fixedSize == 8 }

// WordLen is the length of a row of a single 8-byte field that is not null.
const WordLen = rowHeader + 8

// PutWord writes a row of a single 8-byte field to the first WordLen bytes of dst.
func PutWord(dst []byte, v uint64) {
	dst[0], dst[1] = 0, rowVersion
	binary.LittleEndian.PutUint64(dst[rowHeader:], v)
}

// WordOf reads a row that PutWord made, with an expiry or without; false where it is another.
func WordOf(row []byte) (uint64, bool) {
	if len(row) == WordLen && row[0] == 0 && row[1] == rowVersion ||
		len(row) == WordLen+ExpiryLen && row[0] == rowExpiry && row[1] == rowVersion {
		return binary.LittleEndian.Uint64(row[rowHeader:]), true
	}
	return 0, false
}

// Append appends row i of columns, which have the codec's fields in order.
func (c *Codec) Append(dst []byte, columns []record.Column, i int) []byte {
	if c.Word() && columns[0].Nulls == 0 {
		return binary.LittleEndian.AppendUint64(append(dst, 0, rowVersion), columns[0].Word(i))
	}
	head := len(dst)
	dst = append(dst, 0, rowVersion)
	for f := range columns {
		if !columns[f].Null(i) {
			continue
		}
		if dst[head] == 0 {
			dst[head] = rowNulls
			dst = append(dst, make([]byte, c.nullBytes)...)
		}
		dst[head+rowHeader+f>>3] |= 1 << (f & 7)
	}
	var zero [16]byte
	for _, f := range c.fixed {
		col := &columns[f.field]
		switch {
		case col.Null(i):
			dst = append(dst, zero[:f.width]...)
		case f.bool:
			dst = append(dst, byte(col.Int(i)))
		default:
			dst = append(dst, col.Values[i*f.width:(i+1)*f.width]...)
		}
	}
	for _, f := range c.vars {
		col := &columns[f]
		if col.Null(i) {
			dst = append(dst, 0)
			continue
		}
		if col.Elements != nil {
			dst = appendList(dst, col, i)
			continue
		}
		v := col.Bytes(i)
		dst = append(binary.AppendUvarint(dst, uint64(len(v))), v...)
	}
	return dst
}

// Decode appends a row to columns, which have the codec's fields in order. It fails with a coded error on bytes that Append
// cannot have made; columns are then undefined.
func (c *Codec) Decode(row []byte, columns []record.Column) error {
	nulls, fixed, err := c.open(row)
	if err != nil {
		return err
	}
	rest := fixed[c.fixedSize:]
	if nulls == nil {
		for _, f := range c.fixed {
			if f.bool {
				columns[f.field].AppendInt(int64(fixed[f.at]))
			} else {
				columns[f.field].AppendFixed(fixed[f.at : f.at+f.width])
			}
		}
	} else {
		for _, f := range c.fixed {
			switch {
			case nulls[f.field>>3]&(1<<(f.field&7)) != 0:
				columns[f.field].AppendNull()
			case f.bool:
				columns[f.field].AppendInt(int64(fixed[f.at]))
			default:
				columns[f.field].AppendFixed(fixed[f.at : f.at+f.width])
			}
		}
	}
	for _, f := range c.vars {
		n, k := binary.Uvarint(rest)
		if k <= 0 || n > uint64(len(rest)-k) {
			return damaged("a row ends within field %q", c.fields[f].Name)
		}
		v := rest[k : k+int(n)]
		rest = rest[k+int(n):]
		switch {
		case nulls != nil && nulls[f>>3]&(1<<(f&7)) != 0:
			columns[f].AppendNull()
		case c.fields[f].Type == record.UTF8 && !utf8.Valid(v):
			return damaged("field %q of a row is not utf8", c.fields[f].Name)
		case columns[f].Elements != nil:
			if !decodeList(v, &columns[f]) {
				return damaged("the list in field %q of a row is not whole", c.fields[f].Name)
			}
		default:
			columns[f].AppendBytes(v)
		}
	}
	if len(rest) != 0 {
		return damaged("%d bytes follow the last field of a row", len(rest))
	}
	return nil
}

// appendList appends the list in row i of a column, with its length in bytes.
func appendList(dst []byte, c *record.Column, i int) []byte {
	elements, from, to := c.Elements, int(c.Offsets[i]), int(c.Offsets[i+1])
	if elements.Type == record.Bool {
		dst = binary.AppendUvarint(dst, uint64(to-from))
		for e := from; e < to; e++ {
			dst = append(dst, byte(elements.Int(e)))
		}
		return dst
	}
	if width := elements.Type.Width(); width > 0 {
		dst = binary.AppendUvarint(dst, uint64((to-from)*width))
		return append(dst, elements.Values[from*width:to*width]...)
	}
	n := 0
	var length [binary.MaxVarintLen64]byte
	for e := from; e < to; e++ {
		v := len(elements.Bytes(e))
		n += binary.PutUvarint(length[:], uint64(v)) + v
	}
	dst = binary.AppendUvarint(dst, uint64(n))
	for e := from; e < to; e++ {
		v := elements.Bytes(e)
		dst = append(binary.AppendUvarint(dst, uint64(len(v))), v...)
	}
	return dst
}

// decodeList appends a row to a list column; false where the bytes are not those of a list.
func decodeList(list []byte, c *record.Column) bool {
	elements := c.Elements
	switch width := elements.Type.Width(); {
	case elements.Type == record.Bool:
		for _, b := range list {
			elements.AppendInt(int64(b))
		}
	case width > 0:
		if len(list)%width != 0 {
			return false
		}
		for ; len(list) > 0; list = list[width:] {
			elements.AppendFixed(list[:width])
		}
	default:
		for len(list) > 0 {
			n, k := binary.Uvarint(list)
			if k <= 0 || n > uint64(len(list)-k) {
				return false
			}
			v := list[k : k+int(n)]
			if list = list[k+int(n):]; elements.Type == record.UTF8 && !utf8.Valid(v) {
				return false
			}
			elements.AppendBytes(v)
		}
	}
	c.EndList()
	return true
}

// open checks the header and returns the null bitmap, nil where there is none, and the bytes from the first fixed field on.
func (c *Codec) open(row []byte) (nulls, fixed []byte, err error) {
	if len(row) < rowHeader {
		return nil, nil, damaged("a row has %d bytes", len(row))
	}
	if row[0]&rowExpiry != 0 && len(row) >= rowHeader+ExpiryLen {
		row = row[:len(row)-ExpiryLen]
	} else if row[0]&rowExpiry != 0 {
		return nil, nil, damaged("a row ends within its expiry")
	}
	if row[0]&^(rowNulls|rowExpiry) != 0 || row[1] != rowVersion {
		return nil, nil, CodeVersion.Errorf("a row has flags %#x and schema version %d", row[0], row[1]).
			Do("a later version of tidemill wrote it: use that version")
	}
	fixed = row[rowHeader:]
	if row[0]&rowNulls != 0 {
		if len(fixed) < c.nullBytes {
			return nil, nil, damaged("a row ends within its null bitmap")
		}
		nulls, fixed = fixed[:c.nullBytes], fixed[c.nullBytes:]
	}
	if len(fixed) < c.fixedSize {
		return nil, nil, damaged("a row ends within its fixed fields")
	}
	return nulls, fixed, nil
}

func damaged(format string, args ...any) error {
	return CodeDamaged.Errorf(format, args...).Do("restore from an older checkpoint")
}

// AppendAbsent adds a null row to columns.
func AppendAbsent(columns []record.Column) {
	for i := range columns {
		columns[i].AppendNull()
	}
}
