package format

import (
	"math"
	"strconv"
	"unicode/utf8"
	"unsafe"

	"github.com/tidemill/tidemill/runtime/record"
)

// Problems of values, for people. AppendText returns one of them, so that a good value costs no error and a bad one little.
const (
	wantInt       = "want a whole number"
	wantFloat     = "want a number"
	wantBool      = "want true or false"
	wantDate      = "want YYYY-MM-DD"
	wantTimestamp = "want YYYY-MM-DDTHH:MM:SS or YYYY-MM-DD HH:MM:SS, with a fraction and with Z or an offset if it has them"
	wantUTF8      = "the bytes are not UTF-8"
	outOfRange    = "the number is out of range"
)

// AppendText adds the value that text stands for to a column of any type but a list, as CSV has it: numbers in decimal, bools as true or
// false in any case of letters or 1 or 0, floats also as NaN, Inf and -Inf, dates and timestamps as ParseDate and ParseTimestamp read
// them, utf8 and binary as they are. It returns "" or what is wrong; the column is unchanged then. It allocates nothing.
func AppendText(c *record.Column, text []byte) string {
	switch c.Type {
	case record.UTF8:
		if !utf8.Valid(text) {
			return wantUTF8
		}
		c.AppendBytes(text)
	case record.Binary:
		c.AppendBytes(text)
	case record.I8, record.I16, record.I32, record.I64:
		return AppendInt(c, text)
	case record.F32, record.F64:
		return AppendFloat(c, text)
	case record.Bool:
		v, ok := parseBool(text)
		if !ok {
			return wantBool
		}
		c.AppendInt(v)
	case record.Date32:
		v, ok := ParseDate(text)
		if !ok {
			return wantDate
		}
		c.AppendInt(int64(v))
	case record.Timestamp, record.TimestampTZ:
		v, ok := ParseTimestamp(text)
		if !ok {
			return wantTimestamp
		}
		c.AppendInt(v)
	default:
		return appendDecimal(c, text)
	}
	return ""
}

func appendDecimal(c *record.Column, text []byte) string {
	v, err := record.ParseDecimal(text, c.Type)
	if err != nil {
		return err.Error()
	}
	c.AppendDecimal(v)
	return ""
}

// AppendInt adds a decimal number to an integer column.
func AppendInt(c *record.Column, text []byte) string {
	digits := text
	negative := false
	if len(digits) > 0 && (digits[0] == '-' || digits[0] == '+') {
		negative = digits[0] == '-'
		digits = digits[1:]
	}
	if len(digits) == 0 {
		return wantInt
	}
	var v int64
	if len(digits) <= 18 { // cannot overflow
		for _, d := range digits {
			d -= '0'
			if d > 9 {
				return wantInt
			}
			v = v*10 + int64(d)
		}
		if negative {
			v = -v
		}
	} else {
		for _, d := range digits {
			if d-'0' > 9 {
				return wantInt
			}
		}
		var err error
		if v, err = strconv.ParseInt(view(text), 10, 64); err != nil {
			return outOfRange
		}
	}
	if w := c.Type.Width(); w < 8 && v != v<<(64-8*w)>>(64-8*w) {
		return outOfRange
	}
	c.AppendInt(v)
	return ""
}

// pow10 are the powers of ten that a float64 holds exactly.
var pow10 = [...]float64{1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19,
	1e20, 1e21, 1e22}

// AppendFloat adds a number, NaN, Inf or -Inf to a float column. A finite number too large for the column is out of range.
func AppendFloat(c *record.Column, text []byte) string {
	if c.Type == record.F64 {
		if v, ok := shortDecimal(text); ok {
			c.AppendFloat(v)
			return ""
		}
	}
	if len(text) == 0 {
		return wantFloat
	}
	for _, d := range text {
		if !(d >= '0' && d <= '9' || d == '.' || d == '-' || d == '+' || d == 'e' || d == 'E') {
			return appendSpecialFloat(c, text)
		}
	}
	bits := 64
	if c.Type == record.F32 {
		bits = 32
	}
	v, err := strconv.ParseFloat(view(text), bits)
	if err != nil {
		if math.IsInf(v, 0) {
			return outOfRange
		}
		return wantFloat
	}
	c.AppendFloat(v)
	return ""
}

func appendSpecialFloat(c *record.Column, text []byte) string {
	switch string(text) {
	case "NaN":
		c.AppendFloat(math.NaN())
	case "Inf", "+Inf", "Infinity":
		c.AppendFloat(math.Inf(1))
	case "-Inf", "-Infinity":
		c.AppendFloat(math.Inf(-1))
	default:
		return wantFloat
	}
	return ""
}

// shortDecimal reads a plain decimal of up to 15 digits exactly: such a mantissa and such a power of ten are both floats, and one
// division rounds once (Clinger's fast path).
func shortDecimal(text []byte) (float64, bool) {
	i, negative := 0, false
	if len(text) > 0 && text[0] == '-' {
		i, negative = 1, true
	}
	if n := len(text) - i; n == 0 || n > 16 {
		return 0, false
	}
	var m int64
	digits, point := 0, -1
	for ; i < len(text); i++ {
		d := text[i] - '0'
		if d <= 9 {
			m = m*10 + int64(d)
			digits++
			continue
		}
		if text[i] != '.' || point >= 0 {
			return 0, false
		}
		point = digits
	}
	if digits == 0 || digits > 15 || point == digits || point == 0 {
		return 0, false
	}
	v := float64(m)
	if point >= 0 {
		v /= pow10[digits-point]
	}
	if negative {
		v = -v
	}
	return v, true
}

func parseBool(text []byte) (int64, bool) {
	switch len(text) {
	case 1:
		if text[0] == '0' || text[0] == '1' {
			return int64(text[0] - '0'), true
		}
	case 4:
		if text[0]|0x20 == 't' && text[1]|0x20 == 'r' && text[2]|0x20 == 'u' && text[3]|0x20 == 'e' {
			return 1, true
		}
	case 5:
		if text[0]|0x20 == 'f' && text[1]|0x20 == 'a' && text[2]|0x20 == 'l' && text[3]|0x20 == 's' && text[4]|0x20 == 'e' {
			return 0, true
		}
	}
	return 0, false
}

// view is b as a string without a copy, for calls that do not keep it.
func view(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// AppendValueText appends row i of a column, which is not null and no list, as CSV has it: what AppendText reads back to the same
// value.
func AppendValueText(dst []byte, c *record.Column, i int) []byte {
	switch c.Type {
	case record.UTF8, record.Binary:
		return append(dst, c.Bytes(i)...)
	case record.Bool:
		return strconv.AppendBool(dst, c.Int(i) == 1)
	case record.F32:
		return AppendFloatText(dst, c.Float(i), 32)
	case record.F64:
		return AppendFloatText(dst, c.Float(i), 64)
	case record.Date32:
		return AppendDate(dst, int32(c.Int(i)))
	case record.Timestamp, record.TimestampTZ:
		return AppendTimestamp(dst, c.Int(i))
	case record.I8, record.I16, record.I32, record.I64:
		return strconv.AppendInt(dst, c.Int(i), 10)
	}
	return record.AppendDecimal(dst, c.Decimal(i), c.Type.Scale())
}

// AppendFloatText appends the shortest decimal that reads back as the same float: plain from 1e-6 up to 1e21, else with an exponent
// (the form of JavaScript and of encoding/json); NaN, Infinity and -Infinity by name.
func AppendFloatText(dst []byte, v float64, bits int) []byte {
	switch {
	case v != v:
		return append(dst, "NaN"...)
	case math.IsInf(v, 1):
		return append(dst, "Infinity"...)
	case math.IsInf(v, -1):
		return append(dst, "-Infinity"...)
	}
	abs, style := math.Abs(v), byte('f')
	if abs != 0 && (bits == 64 && (abs < 1e-6 || abs >= 1e21) || bits == 32 && (float32(abs) < 1e-6 || float32(abs) >= 1e21)) {
		style = 'e'
	}
	dst = strconv.AppendFloat(dst, v, style, -1, bits)
	if n := len(dst); style == 'e' && n >= 4 && dst[n-4] == 'e' && dst[n-3] == '-' && dst[n-2] == '0' {
		dst[n-2] = dst[n-1] // e-09 is e-9
		dst = dst[:n-1]
	}
	return dst
}
