package datagen

import (
	"encoding/binary"
	"math"
	"math/bits"
	"slices"
	"time"

	"github.com/tidemill/tidemill/connectors/format"
	"github.com/tidemill/tidemill/connectors/spec"
	"github.com/tidemill/tidemill/runtime/record"
)

// fillFunc appends the values of n records with the numbers first, first+step and so on; the caller adds n to Len.
type fillFunc func(c *record.Column, n int, first, step uint64)

// mix is the finalizer of SplitMix64 (Steele, Lea and Flood, 2014): a bijection whose outputs look random.
func mix(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// golden spreads counters over 64 bits before mix, as SplitMix64 does.
const golden = 0x9e3779b97f4a7c15

// at is the random number of a record: a pure function of the column's seed and the record's number.
func at(seed, number uint64) uint64 { return mix(seed + (number+1)*golden) }

// below maps a random number to [0, n) with a bias below n/2^64.
func below(random, n uint64) uint64 {
	high, _ := bits.Mul64(random, n)
	return high
}

// unit maps a random number to [0, 1).
func unit(random uint64) float64 { return float64(random>>11) / (1 << 53) }

// filler returns the type of a column, its values, and the greatest number of bytes of one.
func filler(v spec.Values, seed uint64) (typ record.Type, width int, fill fillFunc, err error) {
	if name := v.Choice(); name != "float" && name != "choice" && name != "text" {
		typ, _ = record.ParseType(v.String("type"))
	}
	switch v.Choice() {
	case "sequence":
		start, step := uint64(v.Int("start")), uint64(v.Int("step"))
		fill = ints(typ, func(number uint64) int64 { return int64(start + number*step) })
	case "uniform":
		low, high := v.Int("min"), v.Int("max")
		if high < low {
			return 0, 0, nil, v.Errorf(ErrOptions, "max", "max is %d and min is %d", high, low)
		}
		if lowest, highest := limits(typ); low < lowest || high > highest {
			return 0, 0, nil, v.Errorf(ErrOptions, "max", "%d to %d does not fit %v", low, high, typ)
		}
		if count := uint64(high-low) + 1; count == 0 {
			fill = ints(typ, func(number uint64) int64 { return int64(at(seed, number)) })
		} else {
			fill = uniform(typ, seed, low, count)
		}
	case "zipf":
		distinct := v.Int("distinct")
		if _, highest := limits(typ); distinct-1 > highest {
			return 0, 0, nil, v.Errorf(ErrOptions, "distinct", "%d values do not fit %v", distinct, typ)
		}
		z := newZipf(v.Float("exponent"), float64(distinct))
		fill = ints(typ, func(number uint64) int64 { return z.value(seed, number) })
	case "float":
		low, span := v.Float("min"), v.Float("max")-v.Float("min")
		typ, fill = record.F64, floats(seed, low, span)
	case "choice":
		values := v.Strings("values")
		if len(values) == 0 {
			return 0, 0, nil, v.Errorf(ErrOptions, "values", "the list of values is empty")
		}
		for _, text := range values {
			width = max(width, len(text))
		}
		typ, fill = record.UTF8, choice(seed, values)
	case "text":
		width = int(v.Int("length"))
		typ, fill = record.UTF8, letters(seed, width)
	case "time":
		start, _ := format.ParseTimestamp([]byte(v.String("start"))) // checked by the declaration
		fill = times(seed, start, v.Duration("every"), v.Duration("jitter"))
	}
	return typ, width + 8, fill, nil
}

// limits are the least and the greatest value of an integer type.
func limits(t record.Type) (lowest, highest int64) {
	n := 8 * t.Width()
	return -1 << (n - 1), 1<<(n-1) - 1
}

// room adds n values of the column's width to its buffer, zero, and returns their place.
func room(c *record.Column, n int) []byte {
	from := len(c.Values)
	c.Values = slices.Grow(c.Values, n*c.Type.Width())[:from+n*c.Type.Width()]
	return c.Values[from:]
}

// ints fills an integer column; a value that does not fit its type is cut to its low bits.
func ints(t record.Type, value func(number uint64) int64) fillFunc {
	return func(c *record.Column, n int, first, step uint64) {
		out := room(c, n)
		for i := range n {
			v := uint64(value(first + uint64(i)*step))
			switch t {
			case record.I8:
				out[i] = byte(v)
			case record.I16:
				binary.LittleEndian.PutUint16(out[2*i:], uint16(v))
			case record.I32:
				binary.LittleEndian.PutUint32(out[4*i:], uint32(v))
			default:
				binary.LittleEndian.PutUint64(out[8*i:], v)
			}
		}
	}
}

// uniform is the hot case of keys: i64 without a call a value.
func uniform(t record.Type, seed uint64, low int64, count uint64) fillFunc {
	if t != record.I64 {
		return ints(t, func(number uint64) int64 { return low + int64(below(at(seed, number), count)) })
	}
	return func(c *record.Column, n int, first, step uint64) {
		out := room(c, n)
		for i := range n {
			v := low + int64(below(at(seed, first+uint64(i)*step), count))
			binary.LittleEndian.PutUint64(out[8*i:], uint64(v))
		}
	}
}

func floats(seed uint64, low, span float64) fillFunc {
	return func(c *record.Column, n int, first, step uint64) {
		out := room(c, n)
		for i := range n {
			v := low + span*unit(at(seed, first+uint64(i)*step))
			binary.LittleEndian.PutUint64(out[8*i:], math.Float64bits(v))
		}
	}
}

func times(seed uint64, start int64, every, jitter time.Duration) fillFunc {
	everyNS, jitterUS := uint64(every), uint64(jitter.Microseconds())
	return func(c *record.Column, n int, first, step uint64) {
		out := room(c, n)
		high, _ := bits.Mul64(first+uint64(n)*step, everyNS)
		for i := range n {
			number := first + uint64(i)*step
			us := number * everyNS / 1000
			if high > 0 { // nanoseconds exceed 64 bits long before microseconds do
				hi, lo := bits.Mul64(number, everyNS)
				us, _ = bits.Div64(hi%1000, lo, 1000)
			}
			if jitterUS > 0 {
				us -= below(at(seed, number), jitterUS+1)
			}
			binary.LittleEndian.PutUint64(out[8*i:], uint64(start)+us)
		}
	}
}

func choice(seed uint64, values []string) fillFunc {
	return func(c *record.Column, n int, first, step uint64) {
		for i := range n {
			c.Values = append(c.Values, values[below(at(seed, first+uint64(i)*step), uint64(len(values)))]...)
			c.Offsets = append(c.Offsets, int32(len(c.Values)))
		}
	}
}

// letters makes texts of a length, twelve letters from each random number.
func letters(seed uint64, length int) fillFunc {
	const perDraw = 12
	return func(c *record.Column, n int, first, step uint64) {
		for i := range n {
			draw := at(seed, first+uint64(i)*step)
			random := draw
			for k := range length {
				if k%perDraw == 0 && k > 0 {
					draw = mix(draw + golden)
					random = draw
				}
				c.Values = append(c.Values, 'a'+byte(random%26))
				random /= 26
			}
			c.Offsets = append(c.Offsets, int32(len(c.Values)))
		}
	}
}

// zipf draws by rejection-inversion (Hoermann and Derflinger, "Rejection-inversion to generate variates from monotone discrete
// distributions", 1996): k in 1..n with probability proportional to k^-s, in 1.1 draws on average whatever n is.
type zipf struct {
	s, n              float64
	lowest, highest   float64 // the integral of the hat at its ends
	alwaysAcceptBelow float64
}

func newZipf(s, n float64) *zipf {
	z := &zipf{s: s, n: n}
	z.lowest = z.integral(1.5) - 1
	z.highest = z.integral(n + 0.5)
	z.alwaysAcceptBelow = 2 - z.inverse(z.integral(2.5)-math.Pow(2, -s))
	return z
}

// integral is that of x^-s from 1 to x.
func (z *zipf) integral(x float64) float64 {
	logX := math.Log(x)
	return expm1Over((1-z.s)*logX) * logX
}

func (z *zipf) inverse(y float64) float64 {
	t := max(y*(1-z.s), -1)
	return math.Exp(log1pOver(t) * y)
}

// expm1Over is (e^x-1)/x, and log1pOver log(1+x)/x, continued through 0.
func expm1Over(x float64) float64 {
	if math.Abs(x) > 1e-8 {
		return math.Expm1(x) / x
	}
	return 1 + x/2
}

func log1pOver(x float64) float64 {
	if math.Abs(x) > 1e-8 {
		return math.Log1p(x) / x
	}
	return 1 - x/2
}

func (z *zipf) value(seed, number uint64) int64 {
	random := at(seed, number)
	for {
		u := z.highest + unit(random)*(z.lowest-z.highest)
		x := z.inverse(u)
		k := min(max(math.Floor(x+0.5), 1), z.n)
		if k-x <= z.alwaysAcceptBelow || u >= z.integral(k+0.5)-math.Pow(k, -z.s) {
			return int64(k) - 1
		}
		random = mix(random + golden)
	}
}
