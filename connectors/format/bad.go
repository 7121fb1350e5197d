package format

import (
	"bytes"
	"fmt"
	"strconv"

	"github.com/tidemill/tidemill/connectors"
	"github.com/tidemill/tidemill/internal/errcode"
	"github.com/tidemill/tidemill/runtime/record"
)

const (
	rawBytesMax  = 64 << 10 // of a bad record that are kept (connectors.BadRecord.Raw)
	shownBytes   = 64       // of a value that an error shows
	bomHead      = 0xEF
	utf8BOM      = "\xEF\xBB\xBF"
	placeUnknown = 0
)

// Bad makes the bad record that begins at data[start:] of the chunk and has the bytes raw. reason is placed by line and offset.
func (c *Chunk) Bad(start int, lines int64, raw []byte, reason *errcode.Error) connectors.BadRecord {
	b := connectors.BadRecord{At: c.Offset + int64(start), Reason: reason}
	if c.Line != placeUnknown {
		b.Line = c.Line + lines
		reason.Place = fmt.Sprintf("line %d, byte %d", b.Line, b.At)
	} else {
		reason.Place = fmt.Sprintf("byte %d", b.At)
	}
	b.Raw = bytes.Clone(raw[:min(len(raw), rawBytesMax)])
	return b
}

// Shown is a value for an error: quoted, cut to 64 bytes.
func Shown(value []byte) string {
	if len(value) > shownBytes {
		return strconv.Quote(string(value[:shownBytes])) + "..."
	}
	return strconv.Quote(string(value))
}

// BadValue is the reason of a record whose value for a column cannot be read.
func BadValue(f *record.Field, value []byte, problem string) *errcode.Error {
	return ErrValue.Errorf("column %s: %s is no %v: %s", f.Name, Shown(value), f.Type, problem)
}

// BadNull is the reason of a record without a value for a column that needs one.
func BadNull(f *record.Field, what string) *errcode.Error {
	return ErrNull.Errorf("column %s: %s", f.Name, what).Do("declare the column as %v? to allow it", f.Type)
}

// SkipBOM returns the length of a byte order mark that begins the split, else 0.
func (c *Chunk) SkipBOM() int {
	if c.Offset == 0 && len(c.Data) >= len(utf8BOM) && c.Data[0] == bomHead && string(c.Data[:len(utf8BOM)]) == utf8BOM {
		return len(utf8BOM)
	}
	return 0
}
