package program

import (
	"cmp"
	"math/big"
	"strings"
)

// Scale is how many digits of a Decimal stand behind its point.
const Scale = 4

// Decimal is a decimal's number without its point: 128 bits in two's complement.
type Decimal struct {
	High int64
	Low  uint64
}

// DecimalOf is the decimal whose number without its point is n.
func DecimalOf(n int64) Decimal { return Decimal{High: n >> 63, Low: uint64(n)} }

// wide reads a number of up to 128 bits.
func wide(digits string) Decimal {
	n, ok := new(big.Int).SetString(digits, 10)
	if !ok {
		panic("program: no number: " + digits)
	}
	low := new(big.Int).And(n, new(big.Int).SetUint64(1<<64-1))
	return Decimal{High: n.Rsh(n, 64).Int64(), Low: low.Uint64()}
}

// Compare is -1, 0 or 1.
func (d Decimal) Compare(o Decimal) int {
	return cmp.Or(cmp.Compare(d.High, o.High), cmp.Compare(d.Low, o.Low))
}

// String writes the decimal with all digits behind its point.
func (d Decimal) String() string {
	n := new(big.Int).Lsh(big.NewInt(d.High), 64)
	n.Add(n, new(big.Int).SetUint64(d.Low))
	digits := new(big.Int).Abs(n).String()
	if short := Scale + 1 - len(digits); short > 0 {
		digits = strings.Repeat("0", short) + digits
	}
	sign := ""
	if n.Sign() < 0 {
		sign = "-"
	}
	point := len(digits) - Scale
	return sign + digits[:point] + "." + digits[point:]
}
