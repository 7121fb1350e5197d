package record

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"
)

// Decimal is a value of a decimal128 column without its point, as a whole number of 128 bits in two's complement: -12.30 with two
// digits behind the point is -1230.
type Decimal struct {
	High int64
	Low  uint64
}

// decimalAt reads the 16 bytes of a value.
func decimalAt(b []byte) Decimal {
	return Decimal{High: int64(binary.LittleEndian.Uint64(b[8:16])), Low: binary.LittleEndian.Uint64(b)}
}

func (d Decimal) appendTo(dst []byte) []byte {
	return binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint64(dst, d.Low), uint64(d.High))
}

// magnitude is the absolute value.
func (d Decimal) magnitude() magnitude {
	if d.High >= 0 {
		return magnitude{uint64(d.High), d.Low}
	}
	low, borrow := bits.Sub64(0, d.Low, 0)
	high, _ := bits.Sub64(0, uint64(d.High), borrow)
	return magnitude{high, low}
}

// Fits says whether the number has so many digits at most.
func (d Decimal) Fits(digits int) bool { return d.magnitude().less(powersOfTen[digits]) }

// magnitude is a whole number of 128 bits without sign.
type magnitude struct{ high, low uint64 }

func (m magnitude) less(o magnitude) bool {
	return m.high < o.high || m.high == o.high && m.low < o.low
}

// shifted is m*10 + digit, without what passes 128 bits.
func (m magnitude) shifted(digit uint64) magnitude {
	high, low := bits.Mul64(m.low, 10)
	low, carry := bits.Add64(low, digit, 0)
	return magnitude{m.high*10 + high + carry, low}
}

// powersOfTen has 10 to the power of each number of digits.
var powersOfTen = func() (powers [DecimalDigits + 1]magnitude) {
	powers[0].low = 1
	for i := range DecimalDigits {
		powers[i+1] = powers[i].shifted(0)
	}
	return powers
}()

// AppendDecimal appends the text of a number with so many digits behind the point: "-12.30", "0.05", "7".
func AppendDecimal(dst []byte, d Decimal, scale int) []byte {
	if d.High < 0 {
		dst = append(dst, '-')
	}
	var text [DecimalDigits + 1]byte // 128 bits have 39 digits at most
	at, point := len(text), len(text)-scale
	for m := d.magnitude(); m.high != 0 || m.low != 0 || at >= point; {
		at--
		if m.high == 0 {
			text[at] = '0' + byte(m.low%10)
			m.low /= 10
			continue
		}
		low, digit := bits.Div64(m.high%10, m.low, 10)
		m = magnitude{m.high / 10, low}
		text[at] = '0' + byte(digit)
	}
	dst = append(dst, text[at:point]...)
	if scale == 0 {
		return dst
	}
	return append(append(dst, '.'), text[point:]...)
}

// ParseDecimal reads a number as text, "-12.30", "+7", ".5", "1.2e3", as a value of a decimal128 type. Nothing is rounded: where
// the number is not a value of the type the error says why.
func ParseDecimal(text []byte, t Type) (Decimal, error) {
	n, ok := scanDecimal(text)
	before, shift := t.Digits()-t.Scale(), n.exponent+t.Scale()
	switch {
	case !ok:
		return Decimal{}, errors.New("want a number")
	case n.digits == 0:
		return Decimal{}, nil
	case n.digits+n.exponent > before:
		return Decimal{}, fmt.Errorf("want at most %d digits before the point", before)
	case shift < 0:
		return Decimal{}, fmt.Errorf("want at most %d digits behind the point", t.Scale())
	}
	m := n.significand
	for ; shift > 0; shift-- {
		m = m.shifted(0)
	}
	if n.negative {
		low, borrow := bits.Sub64(0, m.low, 0)
		high, _ := bits.Sub64(0, m.high, borrow)
		return Decimal{int64(high), low}, nil
	}
	return Decimal{int64(m.high), m.low}, nil
}

// number is a number taken apart: significand * 10^exponent. The significand has so many digits, 0 for the number 0, does not end
// in zero, and is only right where it has DecimalDigits digits at most.
type number struct {
	significand      magnitude
	digits, exponent int
	negative         bool
}

func scanDecimal(text []byte) (n number, ok bool) {
	if len(text) > 0 && (text[0] == '-' || text[0] == '+') {
		n.negative, text = text[0] == '-', text[1:]
	}
	seen, point, zeros, i := false, false, 0, 0
	for ; i < len(text); i++ {
		c := text[i]
		if c == '.' && !point {
			point = true
			continue
		}
		if c < '0' || c > '9' {
			break
		}
		seen = true
		if point {
			n.exponent--
		}
		switch {
		case c != '0':
			n.add(zeros, c)
			zeros = 0
		case n.digits > 0: // part of the significand if another digit follows
			zeros++
		}
	}
	n.exponent += zeros
	if i == len(text) || !seen {
		return n, seen
	}
	e, ok := scanExponent(text[i:])
	n.exponent += e
	return n, ok
}

// add puts so many zeros and a digit behind the significand.
func (n *number) add(zeros int, digit byte) {
	n.digits += zeros + 1
	if n.digits > DecimalDigits {
		return
	}
	for range zeros {
		n.significand = n.significand.shifted(0)
	}
	n.significand = n.significand.shifted(uint64(digit - '0'))
}

// scanExponent reads "e-12". One that no number of a type could have is cut.
func scanExponent(text []byte) (exponent int, ok bool) {
	if text[0]|0x20 != 'e' {
		return 0, false
	}
	text = text[1:]
	negative := false
	if len(text) > 0 && (text[0] == '-' || text[0] == '+') {
		negative, text = text[0] == '-', text[1:]
	}
	for _, c := range text {
		if c < '0' || c > '9' {
			return 0, false
		}
		exponent = min(exponent*10+int(c-'0'), 1<<40)
	}
	if negative {
		exponent = -exponent
	}
	return exponent, len(text) > 0
}
