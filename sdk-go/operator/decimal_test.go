package operator_test

import (
	"errors"
	"math/big"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/tidemill/tidemill/sdk-go/operator"
)

// The oracle is math/big.Rat.

func parse(t testing.TB, text string) operator.Decimal {
	t.Helper()
	d, err := operator.ParseDecimal(text)
	if err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	return d
}

func rat(t testing.TB, d operator.Decimal) *big.Rat {
	t.Helper()
	r, ok := new(big.Rat).SetString(d.String())
	if !ok {
		t.Fatalf("%q is no number", d.String())
	}
	return r
}

// drawDecimal is the text of a number of any length and scale: often one of all nines, or of few digits.
func drawDecimal(r *rand.Rand) string {
	digits := 1 + r.IntN(operator.DecimalDigits)
	scale := r.IntN(digits + 1)
	var b strings.Builder
	if r.IntN(2) == 0 {
		b.WriteByte('-')
	}
	nines := r.IntN(4) == 0
	for i := range digits {
		if i == 0 && scale == digits {
			b.WriteByte('0')
		}
		if i == digits-scale {
			b.WriteByte('.')
		}
		if c := byte('0' + r.IntN(10)); nines {
			b.WriteByte('9')
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}

// tooLong says whether a number with scale digits behind the point has more than 38 digits.
func tooLong(x *big.Rat, scale int) bool {
	n := new(big.Rat).Mul(x, new(big.Rat).SetInt(ten(scale)))
	return new(big.Int).Abs(n.Num()).Cmp(ten(operator.DecimalDigits)) >= 0
}

func ten(k int) *big.Int { return new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(k)), nil) }

func TestDecimalArithmetic(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	check := func(what string, got operator.Decimal, err error, want *big.Rat, scale int, overflows bool) {
		t.Helper()
		switch {
		case overflows:
			if !errors.Is(err, operator.ErrDecimalOverflow) {
				t.Fatalf("%s = %v, %v; want an overflow", what, got, err)
			}
		case err != nil || rat(t, got).Cmp(want) != 0 || got.Scale() != scale:
			t.Fatalf("%s = %v of scale %d, %v; want %s of scale %d", what, got, got.Scale(), err, want.FloatString(scale), scale)
		}
	}
	for range 5_000 {
		a, b := parse(t, drawDecimal(r)), parse(t, drawDecimal(r))
		x, y := rat(t, a), rat(t, b)
		if a.Cmp(b) != x.Cmp(y) || a.Sign() != x.Sign() || a.Neg().Sign() != -x.Sign() {
			t.Fatalf("%v and %v: compare %d, want %d", a, b, a.Cmp(b), x.Cmp(y))
		}
		scale := max(a.Scale(), b.Scale())
		sum := new(big.Rat).Add(x, y)
		got, err := a.Add(b)
		check(a.String()+" + "+b.String(), got, err, sum, scale, tooLong(x, scale) || tooLong(y, scale) || tooLong(sum, scale))
		difference := new(big.Rat).Sub(x, y)
		got, err = a.Sub(b)
		check(a.String()+" - "+b.String(), got, err, difference, scale, tooLong(x, scale) || tooLong(y, scale) || tooLong(difference, scale))
		product, scale := new(big.Rat).Mul(x, y), a.Scale()+b.Scale()
		got, err = a.Mul(b)
		check(a.String()+" * "+b.String(), got, err, product, scale, scale > operator.DecimalDigits || tooLong(product, scale))
		to := r.IntN(operator.DecimalDigits + 1)
		rounded, _ := new(big.Rat).SetString(x.FloatString(to)) // rounds half away from zero too
		got, err = a.Round(to)
		check(a.String()+" rounded", got, err, rounded, to, tooLong(rounded, to))
		n, err := a.Int64()
		if exact := x.IsInt() && x.Num().IsInt64(); exact != (err == nil) || exact && n != x.Num().Int64() {
			t.Fatalf("%v as int64: %d, %v", a, n, err)
		}
	}
}

func TestDecimalText(t *testing.T) {
	for text, want := range map[string]string{
		"0": "0", "-0": "0", "+1.50": "1.50", "-0.07": "-0.07", "007.10": "7.10", "0.000": "0.000",
		"00000000000000000000000000000000000000001": "1",
		strings.Repeat("9", 38):                     strings.Repeat("9", 38),
		"-0." + strings.Repeat("9", 38):             "-0." + strings.Repeat("9", 38),
	} {
		if got := parse(t, text).String(); got != want {
			t.Errorf("%q is %q, want %q", text, got, want)
		}
	}
	for _, text := range []string{"", "-", "+", ".", "1.", ".5", "-.5", "1.2.3", "1e3", "1_0", " 1", "1 ", "--1", "0x1", "NaN", "１"} {
		if d, err := operator.ParseDecimal(text); err == nil {
			t.Errorf("%q is %v", text, d)
		}
	}
	for _, text := range []string{"1" + strings.Repeat("0", 38), "0." + strings.Repeat("0", 39), "10." + strings.Repeat("0", 37)} {
		if d, err := operator.ParseDecimal(text); !errors.Is(err, operator.ErrDecimalOverflow) {
			t.Errorf("%q is %v, %v", text, d, err)
		}
	}
	if d := operator.NewDecimal(-1250, 2); d.String() != "-12.50" || d.Scale() != 2 {
		t.Error(d)
	}
	if d := (operator.Decimal{}); d.String() != "0" || d.Sign() != 0 {
		t.Error(d)
	}
	if d := operator.NewDecimal(-1<<63, 19); d.String() != "-0.9223372036854775808" {
		t.Error(d)
	}
}
