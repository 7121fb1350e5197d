package buffer

import (
	"math/big"
	"math/rand/v2"
	"slices"
	"testing"
	"unicode/utf8"
)

func TestBits(t *testing.T) {
	for seed := range uint64(500) {
		random := rand.New(rand.NewPCG(seed, 1))
		src := make([]byte, 1+random.IntN(40))
		for i := range src {
			src[i] = byte(random.Uint32())
		}
		from := random.IntN(8 * len(src))
		n := random.IntN(8*len(src) - from + 1)
		dst := slices.Repeat([]byte{0xa5}, BitmapBytes(n)+3)
		CopyBits(dst, src, from, n)
		ones := 0
		for i := range 8 * len(dst) {
			want := i < n && src[(from+i)/8]>>((from+i)%8)&1 == 1
			if want {
				ones++
			}
			if got := dst[i/8]>>(i%8)&1 == 1; got != want {
				t.Fatalf("seed %d: bit %d of %d from %d is %v", seed, i, n, from, got)
			}
		}
		if got := CountBits(dst, n); got != ones {
			t.Fatalf("seed %d: %d ones of %d", seed, got, ones)
		}
	}
}

func TestFits(t *testing.T) {
	ten := func(n int) *big.Int { return new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(n)), nil) }
	for at := 1; at <= 38; at++ {
		for _, off := range []int64{-1, 0, 1} {
			for _, sign := range []int64{-1, 1} {
				n := new(big.Int).Mul(new(big.Int).Add(ten(at), big.NewInt(off)), big.NewInt(sign))
				value := new(big.Int).And(n, new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 128), big.NewInt(1))).FillBytes(make([]byte, 16))
				slices.Reverse(value)
				for digits := 1; digits <= 38; digits++ {
					if got, want := Fits(value, digits), new(big.Int).Abs(n).Cmp(ten(digits)) < 0; got != want {
						t.Fatalf("%v in %d digits: %v", n, digits, got)
					}
				}
			}
		}
	}
	if least := append(make([]byte, 15), 0x80); Fits(least, 38) {
		t.Error("the least number of 128 bits has 38 digits")
	}
}

func TestInvalidText(t *testing.T) {
	parts := []string{"", "a", "é", "\xc3", "\xa9", "\xff"}
	for seed := range uint64(2000) {
		random := rand.New(rand.NewPCG(seed, 2))
		var values []byte
		offsets, want := []int32{0}, -1
		for row := range random.IntN(5) {
			text := parts[random.IntN(len(parts))] + parts[random.IntN(3)]
			if values = append(values, text...); want < 0 && !utf8.ValidString(text) {
				want = row
			}
			offsets = append(offsets, int32(len(values)))
		}
		if got := InvalidText(values, offsets); got != want {
			t.Fatalf("seed %d: %q at %v: %d, want %d", seed, values, offsets, got, want)
		}
	}
}
