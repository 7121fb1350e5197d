package operator

import (
	"errors"
	"strconv"

	"github.com/tidemill/tidemill/sdk-go/internal/int128"
)

// Decimal is an exact decimal number of at most 38 digits, some of which stand behind the point: its scale, 0 to 38. The zero
// Decimal is 0.
//
// A field of type Decimal is a column of type decimal128(P,S), of P digits of which S stand behind the point, that its tag names:
// `tm:"amount,decimal(12,2)"`. What is read has scale S. What is written may have any: the item that writes a number that is not
// exactly one of P digits and scale S fails. Nothing rounds but Round.
//
// == tells 1.5 from 1.50; Cmp does not. As the key of a map state, and in it, they are the same, because a key has its column's scale.
type Decimal struct {
	unscaled int128.Int // of at most 38 digits
	scale    uint8
}

// DecimalDigits is the greatest number of digits of a Decimal.
const DecimalDigits = int128.TensMax

// Errors of decimal arithmetic.
var (
	ErrDecimalOverflow = errors.New("the decimal number would have more than 38 digits")
	ErrDecimalInexact  = errors.New("the decimal number is not exactly an int64")
)

// NewDecimal is unscaled / 10^scale: NewDecimal(1250, 2) is 12.50. It panics where the scale is not 0 to 38.
func NewDecimal(unscaled int64, scale int) Decimal {
	return Decimal{int128.Of(unscaled), scaleOf(scale)}
}

func scaleOf(scale int) uint8 {
	if scale < 0 || scale > DecimalDigits {
		panic("a decimal number of scale " + strconv.Itoa(scale) + ": it is 0 to 38")
	}
	return uint8(scale)
}

// ParseDecimal reads what String writes: an optional sign, digits, and optionally a point and digits, which make the scale. Zeros
// in front do not count among the 38 digits.
func ParseDecimal(text string) (Decimal, error) {
	digits := text
	if text != "" && (text[0] == '-' || text[0] == '+') {
		digits = text[1:]
	}
	var d Decimal
	point, count := -1, 0
	for i := range len(digits) {
		c := digits[i]
		if c == '.' && point < 0 && i > 0 {
			point = i
			continue
		}
		if c < '0' || c > '9' {
			return Decimal{}, notDecimal(text)
		}
		if count > 0 || c != '0' {
			count++
		}
		if count > DecimalDigits {
			return Decimal{}, ErrDecimalOverflow
		}
		d.unscaled, _ = d.unscaled.Mul(int128.Of(10))
		d.unscaled, _ = d.unscaled.Add(int128.Of(int64(c - '0')))
	}
	if digits == "" || point == len(digits)-1 {
		return Decimal{}, notDecimal(text)
	}
	if point > 0 {
		if len(digits)-1-point > DecimalDigits {
			return Decimal{}, ErrDecimalOverflow
		}
		d.scale = uint8(len(digits) - 1 - point)
	}
	if text[0] == '-' {
		d.unscaled = d.unscaled.Neg()
	}
	return d, nil
}

func notDecimal(text string) error {
	return errors.New(strconv.Quote(text[:min(len(text), 64)]) + " is no decimal number")
}

// String is the number with all digits of its scale: 12.50, -0.07, 3.
func (d Decimal) String() string { return d.unscaled.Text(int(d.scale)) }

// Scale is how many digits stand behind the point.
func (d Decimal) Scale() int { return int(d.scale) }

// Sign is -1, 0 or 1.
func (d Decimal) Sign() int { return d.unscaled.Sign() }

// Cmp is -1 where d is less than e, 0 where they are the same number, 1 where d is greater. Scales may differ.
func (d Decimal) Cmp(e Decimal) int {
	if d.scale == e.scale {
		return d.unscaled.Cmp(e.unscaled)
	}
	if d.scale > e.scale {
		return -e.Cmp(d)
	}
	n, err := d.scaled(e.scale)
	if err != nil {
		return d.Sign() // d has too many digits for e's scale, so it is further from zero than any number that has it
	}
	return n.Cmp(e.unscaled)
}

// scaled is the number without its point at a scale that is not below its own.
func (d Decimal) scaled(scale uint8) (int128.Int, error) {
	if scale == d.scale {
		return d.unscaled, nil
	}
	n, ok := d.unscaled.Mul(int128.Ten(int(scale - d.scale)))
	if !ok || !n.Within(int128.Ten(DecimalDigits)) {
		return int128.Int{}, ErrDecimalOverflow
	}
	return n, nil
}

// Neg is -d.
func (d Decimal) Neg() Decimal { return Decimal{d.unscaled.Neg(), d.scale} }

// Add is d + e at the greater of their scales. Where one of them, or the sum, has more than 38 digits at that scale, it is
// ErrDecimalOverflow.
func (d Decimal) Add(e Decimal) (Decimal, error) {
	scale := max(d.scale, e.scale)
	a, err := d.scaled(scale)
	if err != nil {
		return Decimal{}, err
	}
	b, err := e.scaled(scale)
	if err != nil {
		return Decimal{}, err
	}
	sum, ok := a.Add(b)
	return checked(sum, scale, ok)
}

// Sub is d - e, as Add.
func (d Decimal) Sub(e Decimal) (Decimal, error) { return d.Add(e.Neg()) }

// Mul is d * e, whose scale is the sum of theirs. Where it, or the product, goes past 38 digits, it is ErrDecimalOverflow.
func (d Decimal) Mul(e Decimal) (Decimal, error) {
	scale := d.scale + e.scale
	product, ok := d.unscaled.Mul(e.unscaled)
	return checked(product, scale, ok && scale <= DecimalDigits)
}

func checked(n int128.Int, scale uint8, ok bool) (Decimal, error) {
	if !ok || !n.Within(int128.Ten(DecimalDigits)) {
		return Decimal{}, ErrDecimalOverflow
	}
	return Decimal{n, scale}, nil
}

// Round is the number at another scale: digits that it has more are rounded off, half away from zero, and such as it has fewer
// are zeros. Where it then has more than 38 digits, it is ErrDecimalOverflow. It panics where the scale is not 0 to 38.
func (d Decimal) Round(scale int) (Decimal, error) {
	to := scaleOf(scale)
	if to >= d.scale {
		n, err := d.scaled(to)
		return checked(n, to, err == nil)
	}
	cut := int(d.scale - to)
	half, _ := int128.Ten(cut - 1).Mul(int128.Of(int64(5 * d.Sign())))
	sum, _ := d.unscaled.Add(half) // below 10^38 + 5*10^37, which is below 2^127
	n, _ := sum.Over10(cut)
	return Decimal{n, to}, nil
}

// Int64 is the number as an int64, or ErrDecimalInexact where it has anything but zeros behind the point, or is too large.
func (d Decimal) Int64() (int64, error) {
	whole, exact := d.unscaled.Over10(int(d.scale))
	n, fits := whole.Int64()
	if !exact || !fits {
		return 0, ErrDecimalInexact
	}
	return n, nil
}
