package operator

import (
	"encoding/base64"
	"encoding/json"
	"math"
	"strconv"
	"time"

	"github.com/tidemill/tidemill/runtime/record"
)

// AppendRowJSON appends a row as a JSON object, for dead letters and messages: decimals as numbers with all their digits, times
// as RFC 3339 text, binary as base64, lists as arrays, and floats that JSON does not know as text.
func AppendRowJSON(dst []byte, b *record.Batch, row int) []byte {
	dst = append(dst, '{')
	for i := range b.Columns {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendText(dst, b.Schema.Fields[i].Name)
		dst = append(dst, ':')
		dst = appendCell(dst, &b.Columns[i], row)
	}
	return append(dst, '}')
}

func appendCell(dst []byte, c *record.Column, row int) []byte {
	if c.Null(row) {
		return append(dst, "null"...)
	}
	switch c.Type.Kind() {
	case record.Decimal128:
		return record.AppendDecimal(dst, c.Decimal(row), c.Type.Scale())
	case record.List:
		dst = append(dst, '[')
		for from, e := int(c.Offsets[row]), int(c.Offsets[row]); e < int(c.Offsets[row+1]); e++ {
			if e > from {
				dst = append(dst, ',')
			}
			dst = appendCell(dst, c.Elements, e)
		}
		return append(dst, ']')
	case record.Bool:
		return strconv.AppendBool(dst, c.Int(row) != 0)
	case record.F32, record.F64:
		v, bits := c.Float(row), 64
		if c.Type == record.F32 {
			bits = 32
		}
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return appendText(dst, strconv.FormatFloat(v, 'g', -1, bits))
		}
		return strconv.AppendFloat(dst, v, 'g', -1, bits)
	case record.Date32:
		return appendText(dst, time.Unix(c.Int(row)*24*60*60, 0).UTC().Format(time.DateOnly))
	case record.Timestamp, record.TimestampTZ: // both in UTC, as the format json writes them
		return appendText(dst, time.UnixMicro(c.Int(row)).UTC().Format(time.RFC3339Nano))
	case record.UTF8:
		return appendText(dst, string(c.Bytes(row)))
	case record.Binary:
		return appendText(dst, base64.StdEncoding.EncodeToString(c.Bytes(row)))
	}
	return strconv.AppendInt(dst, c.Int(row), 10)
}

func appendText(dst []byte, s string) []byte {
	quoted, err := json.Marshal(s)
	if err != nil {
		panic("operator: a string that is no JSON: " + err.Error()) // json.Marshal replaces what is not utf8
	}
	return append(dst, quoted...)
}
