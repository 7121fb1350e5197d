package main

import (
	"math"
	"slices"
	"strings"

	"github.com/tidemill/tidemill/sdk-go/operator"
)

var (
	numbers = [16]int64{math.MinInt64, math.MaxInt64, -1<<53 - 1, 1<<53 + 1, -1 << 32, 1<<32 - 1, math.MinInt32, math.MaxInt32,
		math.MinInt32 - 1, 1 << 31, math.MinInt16, math.MaxInt16, 1 << 15, math.MinInt8, math.MaxInt8, 128}
	reals = [16]float64{math.NaN(), math.Inf(1), math.Inf(-1), math.Copysign(0, -1), 0x1p-149, -0x1p-149, 0x1p-126, math.MaxFloat32,
		-math.MaxFloat32, 1 << 24, 0.5, -1.5, 1024.25, 0x1p100, -0x1p100, 0x1p-100}
	times = [16]operator.Timestamp{math.MinInt64, math.MinInt64 + 1, math.MaxInt64 - 1, math.MaxInt64, -1, -2, -1000000, 240, 256, 300,
		500, 1000, 1000000, 1 << 31, 1<<53 + 1, 253402300800000000}
	decimals = [16]string{"9999999999999999.9999", "-9999999999999999.9999", "922337203685477.5807", "922337203685477.5808",
		"-922337203685477.5808", "-922337203685477.5809", "1844674407370955.1615", "1844674407370955.1616", "-1844674407370955.1616",
		"-1844674407370955.1617", "1000000000000000.0000", "-1000000000000000.0000", "1.0000", "-1.0000", "429496.7296", "-429496.7296"}
	symbols = [16]string{"a", "b", "c", "z", "A", "0", " ", "\x00", "é", "ß", "中", "😀", "\n", `"`, "\x7f", "\ue000"}
)

// reader takes a program apart. Past its end every byte is zero.
type reader struct{ rest []byte }

func (r *reader) byte() byte {
	if len(r.rest) == 0 {
		return 0
	}
	b := r.rest[0]
	r.rest = r.rest[1:]
	return b
}

func (r *reader) index(n int) int { return int(r.byte()) % n }

func (r *reader) number() int64 {
	b := r.byte()
	if b >= 240 {
		return numbers[b-240]
	}
	return int64(b) - 120
}

func (r *reader) real() float64 {
	b := r.byte()
	if b >= 240 {
		return reals[b-240]
	}
	return (float64(b) - 120) / 3
}

// scale of all decimals.
const scale = 4

func (r *reader) decimal() operator.Decimal {
	b := r.byte()
	if b < 240 {
		return operator.NewDecimal(int64(b)-120, scale)
	}
	d, err := operator.ParseDecimal(decimals[b-240])
	if err != nil {
		panic(err)
	}
	return d
}

func (r *reader) time() operator.Timestamp {
	b := r.byte()
	if b >= 240 {
		return times[b-240]
	}
	return operator.Timestamp(b)
}

// counted reads the byte before a text, octets or a list: how many things there are, below most, and how often all of them.
func (r *reader) counted(most byte) (n, repeat int) {
	c := r.byte()
	if c >= 248 {
		return int(c % most), 64
	}
	return int(c % most), 1
}

func (r *reader) symbols(n int) string {
	var text strings.Builder
	for range n {
		text.WriteString(symbols[r.byte()%16])
	}
	return text.String()
}

func (r *reader) text() string {
	n, repeat := r.counted(8)
	return strings.Repeat(r.symbols(n), repeat)
}

func (r *reader) octets() []byte {
	n, repeat := r.counted(8)
	piece := make([]byte, n)
	for i := range piece {
		piece[i] = r.byte()
	}
	var all []byte
	for range repeat {
		all = append(all, piece...)
	}
	return all
}

// list reads a list of what read reads.
func list[T any](r *reader, read func() T) []T {
	n, repeat := r.counted(4)
	piece := make([]T, n)
	for i := range piece {
		piece[i] = read()
	}
	return slices.Repeat(piece, repeat)
}

func (r *reader) word() string { return r.symbols(r.index(4)) }

func (r *reader) program() []byte {
	n := min(int(r.byte()), len(r.rest))
	p := r.rest[:n]
	r.rest = r.rest[n:]
	return p
}

func (r *reader) record() (v record) {
	mask := uint16(r.byte())
	mask |= uint16(r.byte()) << 8
	has := func(field int) bool { return mask>>field&1 != 0 }
	if has(0) {
		v.Flag = r.byte()&1 != 0
	}
	if has(1) {
		v.Tiny = some(int8(r.number()))
	}
	if has(2) {
		v.Small = int16(r.number())
	}
	if has(3) {
		v.Medium = some(int32(r.number()))
	}
	if has(4) {
		v.Large = r.number()
	}
	if has(5) {
		v.Single = some(float32(r.real()))
	}
	if has(6) {
		v.Double = r.real()
	}
	if has(7) {
		v.Day = some(operator.Date(r.number()))
	}
	if has(8) {
		v.At = operator.Timestamp(r.number())
	}
	if has(9) {
		v.Zoned = some(operator.Timestamp(r.number()))
	}
	if has(10) {
		v.Text = some(r.text())
	}
	if has(11) {
		v.Bytes = r.octets()
	}
	if has(12) {
		v.Amount = some(r.decimal())
	}
	if has(13) {
		v.Numbers = list(r, r.number)
	}
	if has(14) {
		v.Names = some(list(r, r.word))
	}
	return v
}

func (r *reader) pair() (p pair) {
	p.Small, p.Amount = int16(r.number()), r.decimal()
	b := r.byte()
	p.Flag, p.Day, p.At = b&1 != 0, operator.Date(b>>1&7)-4, operator.Timestamp(b>>4)-8
	p.Text = r.word()
	return p
}
