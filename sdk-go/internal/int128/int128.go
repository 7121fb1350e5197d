// Package int128 is arithmetic of whole numbers of 128 bits, and by powers of ten: what decimal numbers are made of. In memory a
// number is as columns of type decimal128 have it. Nothing here allocates.
package int128

import (
	"cmp"
	"math"
	"math/bits"
	"strconv"
)

// Int is a whole number in two's complement.
type Int struct {
	Lo uint64
	Hi int64
}

// Of is n.
func Of(n int64) Int { return Int{uint64(n), n >> 63} }

// TensMax is the greatest power of ten that an Int holds.
const TensMax = 38

// wordTens is the greatest power of ten that a word holds.
const wordTens = 19

var tens = [wordTens + 1]uint64{
	1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19,
}

// Ten is 10^k, for k from 0 to TensMax.
func Ten(k int) Int {
	hi, lo := bits.Mul64(tens[min(k, wordTens)], tens[max(k-wordTens, 0)])
	return Int{lo, int64(hi)}
}

// Int64 is the number, and whether it is one of 64 bits.
func (a Int) Int64() (n int64, fits bool) {
	n = int64(a.Lo)
	return n, n>>63 == a.Hi
}

// Sign is -1, 0 or 1.
func (a Int) Sign() int {
	switch {
	case a.Hi < 0:
		return -1
	case a == Int{}:
		return 0
	}
	return 1
}

// Cmp compares by value.
func (a Int) Cmp(b Int) int {
	if a.Hi != b.Hi {
		return cmp.Compare(a.Hi, b.Hi)
	}
	return cmp.Compare(a.Lo, b.Lo)
}

// Within says whether a is nearer to zero than limit, which is positive.
func (a Int) Within(limit Int) bool {
	hi, lo := a.magnitude()
	return hi < uint64(limit.Hi) || hi == uint64(limit.Hi) && lo < limit.Lo
}

// Neg is -a; of the least number, that number.
func (a Int) Neg() Int {
	lo, borrow := bits.Sub64(0, a.Lo, 0)
	hi, _ := bits.Sub64(0, uint64(a.Hi), borrow)
	return Int{lo, int64(hi)}
}

func (a Int) magnitude() (hi, lo uint64) {
	if a.Hi < 0 {
		a = a.Neg()
	}
	return uint64(a.Hi), a.Lo
}

// Add is a+b, and whether it is a number of 128 bits.
func (a Int) Add(b Int) (sum Int, fits bool) {
	lo, carry := bits.Add64(a.Lo, b.Lo, 0)
	hi, _ := bits.Add64(uint64(a.Hi), uint64(b.Hi), carry)
	sum = Int{lo, int64(hi)}
	return sum, (a.Hi^sum.Hi)&(b.Hi^sum.Hi) >= 0
}

// Mul is a*b, and whether its magnitude is below 2^127.
func (a Int) Mul(b Int) (product Int, fits bool) {
	aHi, aLo := a.magnitude()
	bHi, bLo := b.magnitude()
	if aHi != 0 && bHi != 0 {
		return Int{}, false
	}
	hi, lo := bits.Mul64(aLo, bLo)
	over, cross := bits.Mul64(aHi|bHi, pick(aHi != 0, bLo, aLo)) // one of aHi and bHi is 0
	hi, carry := bits.Add64(hi, cross, 0)
	if over|carry != 0 || hi > math.MaxInt64 {
		return Int{}, false
	}
	product = Int{lo, int64(hi)}
	if a.Hi^b.Hi < 0 {
		product = product.Neg()
	}
	return product, true
}

func pick(first bool, a, b uint64) uint64 {
	if first {
		return a
	}
	return b
}

// Over10 is a/10^k without what would stand behind the point, and whether that is 0. k is at most 2*TensMax.
func (a Int) Over10(k int) (quotient Int, exact bool) {
	if k == 0 {
		return a, true
	}
	hi, lo := a.magnitude()
	rest := uint64(0)
	for k > 0 {
		step := min(k, wordTens)
		var r uint64
		hi, lo, r = divide(hi, lo, tens[step])
		rest |= r
		k -= step
	}
	quotient = Int{lo, int64(hi)}
	if a.Hi < 0 {
		quotient = quotient.Neg()
	}
	return quotient, rest == 0
}

func divide(hi, lo, by uint64) (quotientHi, quotientLo, rest uint64) {
	quotientHi = hi / by
	quotientLo, rest = bits.Div64(hi%by, lo, by)
	return quotientHi, quotientLo, rest
}

// Text is a/10^scale with all digits behind the point: -0.07 is Of(-7).Text(2).
func (a Int) Text(scale int) string {
	var buffer [TensMax + 4]byte // a sign, a zero, a point; 2^127 has a digit more
	b := buffer[:0]
	if a.Hi < 0 {
		b = append(b, '-')
	}
	hi, lo := a.magnitude()
	_, front, back := divide(hi, lo, tens[wordTens]) // front is at most 2^127/10^19, which is a word
	least := scale + 1
	if front > 0 {
		b = appendDigits(b, front, least-wordTens)
		least = wordTens
	}
	b = appendDigits(b, back, least)
	if scale == 0 {
		return string(b)
	}
	point := len(b) - scale
	b = append(b, 0)
	copy(b[point+1:], b[point:])
	b[point] = '.'
	return string(b)
}

// appendDigits appends n with zeros before it where it has fewer digits than least.
func appendDigits(b []byte, n uint64, least int) []byte {
	for ; least > 1 && (least > wordTens+1 || n < tens[least-1]); least-- {
		b = append(b, '0')
	}
	return strconv.AppendUint(b, n, 10)
}
