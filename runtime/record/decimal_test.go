package record

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"math/big"
	"math/rand/v2"
	"strings"
	"testing"
)

// bigOf is the number by package math/big.
func bigOf(d Decimal) *big.Int {
	n := new(big.Int).Lsh(big.NewInt(d.High), 64)
	return n.Add(n, new(big.Int).SetUint64(d.Low))
}

// decimalOf is the inverse of bigOf.
func decimalOf(n *big.Int) Decimal {
	low := new(big.Int).And(n, new(big.Int).SetUint64(1<<64-1))
	return Decimal{High: new(big.Int).Rsh(n, 64).Int64(), Low: low.Uint64()}
}

func pow10(n int) *big.Int { return new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(n)), nil) }

// edges are numbers around the powers of ten and of two, with either sign.
func edges() []*big.Int {
	list := []*big.Int{new(big.Int)}
	for _, around := range []func(int) *big.Int{pow10, func(n int) *big.Int { return new(big.Int).Lsh(big.NewInt(1), uint(n)*3) }} {
		for n := range 39 {
			for off := int64(-1); off <= 1; off++ {
				v := new(big.Int).Add(around(n), big.NewInt(off))
				list = append(list, v, new(big.Int).Neg(v))
			}
		}
	}
	return list
}

func TestDecimalFitsItsDigits(t *testing.T) {
	least := Decimal{High: -1 << 63}
	if least.Fits(DecimalDigits) {
		t.Error("the least number of 128 bits has 38 digits")
	}
	for _, n := range edges() {
		for digits := 1; digits <= DecimalDigits; digits++ {
			want := new(big.Int).Abs(n).Cmp(pow10(digits)) < 0
			if got := decimalOf(n).Fits(digits); got != want {
				t.Fatalf("%v has %d digits at most: %v", n, digits, got)
			}
		}
	}
}

// textOfBig is n / 10^scale with exactly scale digits behind the point.
func textOfBig(n *big.Int, scale int) string {
	return new(big.Rat).SetFrac(n, pow10(scale)).FloatString(scale)
}

func TestDecimalText(t *testing.T) {
	for _, n := range edges() {
		if bigOf(decimalOf(n)).Cmp(n) != 0 {
			t.Fatalf("%v does not go through", n)
		}
		for scale := 0; scale <= DecimalDigits; scale++ {
			text := string(AppendDecimal([]byte("<"), decimalOf(n), scale))
			if want := "<" + textOfBig(n, scale); text != want {
				t.Fatalf("%v with scale %d is %s, want %s", n, scale, text, want)
			}
			if len(new(big.Int).Abs(n).String()) > DecimalDigits {
				continue
			}
			if got, err := ParseDecimal([]byte(text[1:]), DecimalOf(DecimalDigits, scale)); err != nil || got != decimalOf(n) {
				t.Fatalf("%s is read as %v, %v", text[1:], got, err)
			}
		}
	}
}

// drawNumber is text that is a number, in one of its many forms.
func drawNumber(random *rand.Rand) string {
	digits := func(n int) string {
		var b strings.Builder
		for range n {
			b.WriteByte("0001234567899"[random.IntN(13)])
		}
		return b.String()
	}
	text := []string{"", "", "-", "+"}[random.IntN(4)] + digits(1+random.IntN(25))
	if random.IntN(2) == 0 {
		text += "." + digits(random.IntN(25))
	}
	if random.IntN(3) == 0 {
		text += []string{"e", "E"}[random.IntN(2)] + fmt.Sprint(random.IntN(60)-30)
	}
	return text
}

// TestParseDecimal compares with package math/big: the same number, or refused where it is not one of the type.
func TestParseDecimal(t *testing.T) {
	for seed := range uint64(4) {
		random := rand.New(rand.NewPCG(seed, 7))
		for range 20_000 {
			text := drawNumber(random)
			digits := 1 + random.IntN(DecimalDigits)
			typ := DecimalOf(digits, random.IntN(digits+1))
			value, ok := new(big.Rat).SetString(text)
			if !ok {
				t.Fatalf("seed %d: %q", seed, text)
			}
			value.Mul(value, new(big.Rat).SetInt(pow10(typ.Scale())))
			want := value.IsInt() && new(big.Int).Abs(value.Num()).Cmp(pow10(digits)) < 0
			got, err := ParseDecimal([]byte(text), typ)
			if (err == nil) != want || want && bigOf(got).Cmp(value.Num()) != 0 {
				t.Fatalf("seed %d: %s as %v is %v, %v", seed, text, typ, bigOf(got), err)
			}
		}
	}
}

func TestParseDecimalRefuses(t *testing.T) {
	typ := DecimalOf(5, 2)
	for text, want := range map[string]string{
		"": "want a number", ".": "want a number", "-": "want a number", "1x": "want a number", "1e": "want a number", "1e+": "want a number",
		"--1": "want a number", "1.2.3": "want a number", " 1": "want a number", "NaN": "want a number", "0x10": "want a number", "1e5x": "want a number",
		"1000": "want at most 3 digits before the point", "1e3": "3 digits before", "-1000.001": "3 digits before",
		"1.001": "want at most 2 digits behind the point", "1e-3": "2 digits behind", "1e-99999999999999999999": "2 digits behind",
		"1e99999999999999999999": "3 digits before", strings.Repeat("9", 1000): "3 digits before",
		"0." + strings.Repeat("0", 1000) + "1": "2 digits behind",
	} {
		if _, err := ParseDecimal([]byte(text), typ); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40q: %v, want %q", text, err, want)
		}
	}
	for text, want := range map[string]string{
		"999.99": "99999", "-0": "0", "0e99999999999999999999": "0", "5.": "500", ".5": "50", "1.0000000": "100", "0.010e3": "1000", "99999e-2": "99999",
		strings.Repeat("0", 1000) + "7": "700", "7" + strings.Repeat("0", 100) + "e-100": "700",
	} {
		if got, err := ParseDecimal([]byte(text), typ); err != nil || bigOf(got).String() != want {
			t.Errorf("%.40q: %v, %v, want %s", text, bigOf(got), err, want)
		}
	}
}

// TestGoldenDecimalKeys has the encodings that abi/SPEC.md pins.
func TestGoldenDecimalKeys(t *testing.T) {
	c := NewColumn(DecimalOf(38, 2), 8)
	c.AppendNull()
	for _, text := range []string{"-999999999999999999999999999999999999.99", "-12.30", "-0.01", "0", "0.01", "12.30", "999999999999999999999999999999999999.99"} {
		d, err := ParseDecimal([]byte(text), c.Type)
		if err != nil {
			t.Fatal(err)
		}
		c.AppendDecimal(d)
	}
	var last []byte
	for i, want := range []string{
		"00", "0134c4b357a5793b85f675ddc000000001", "017ffffffffffffffffffffffffffffb32", "017fffffffffffffffffffffffffffffff",
		"0180000000000000000000000000000000", "0180000000000000000000000000000001", "01800000000000000000000000000004ce",
		"01cb3b4ca85a86c47a098a223fffffffff",
	} {
		key := AppendKey(nil, []Column{c}, []int{0}, i)
		if got := hex.EncodeToString(key); got != want {
			t.Errorf("row %d is %s, not %s", i, got, want)
		}
		if bytes.Compare(last, key) >= 0 {
			t.Errorf("row %d is not after the one before", i)
		}
		last = key
		back := NewColumn(c.Type, 1)
		if err := DecodeKey(key, []Column{back}); err != nil {
			t.Error(err)
		}
	}
	narrow := []Column{NewColumn(DecimalOf(4, 2), 1)}
	if err := DecodeKey(last, narrow); err == nil || !strings.Contains(err.Error(), "has more digits than decimal128(4,2)") {
		t.Errorf("38 digits are read as 4: %v", err)
	}
}
