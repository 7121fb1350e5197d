package int128

import (
	"math/big"
	"math/rand/v2"
	"testing"
)

// The oracle is math/big.

func toBig(a Int) *big.Int {
	n := new(big.Int).Lsh(big.NewInt(a.Hi), 64)
	return n.Add(n, new(big.Int).SetUint64(a.Lo))
}

var (
	edge  = new(big.Int).Lsh(big.NewInt(1), 127) // 2^127
	least = Int{0, -1 << 63}
)

// draw is a number of any length, or one at an edge.
func draw(r *rand.Rand) Int {
	edges := []Int{{}, Of(1), Of(-1), Of(1<<63 - 1), Of(-1 << 63), {1<<64 - 1, 0}, {0, 1}, {1<<64 - 1, -2}, {1<<64 - 1, 1<<63 - 1}, least, {1, -1 << 63}}
	switch r.IntN(4) {
	case 0:
		return edges[r.IntN(len(edges))]
	case 1:
		n, _ := Ten(r.IntN(TensMax + 1)).Add(Of(int64(r.IntN(3) - 1)))
		return n
	}
	n := Int{r.Uint64(), int64(r.Uint64())}
	cut := r.IntN(128)
	return fromBig(new(big.Int).Rsh(toBig(n), uint(cut)))
}

func fromBig(n *big.Int) Int {
	low := new(big.Int).And(n, new(big.Int).SetUint64(1<<64-1))
	return Int{low.Uint64(), new(big.Int).Rsh(n, 64).Int64()}
}

func TestArithmetic(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	for range 20_000 {
		a, b := draw(r), draw(r)
		x, y := toBig(a), toBig(b)
		if fromBig(x) != a {
			t.Fatalf("%v is %v", a, x)
		}
		if a.Cmp(b) != x.Cmp(y) || a.Sign() != x.Sign() {
			t.Fatalf("%v and %v: compare %d, sign %d", x, y, a.Cmp(b), a.Sign())
		}
		sum := new(big.Int).Add(x, y)
		if got, fits := a.Add(b); fits != within(sum) || fits && toBig(got).Cmp(sum) != 0 {
			t.Fatalf("%v + %v = %v, %v", x, y, toBig(got), fits)
		}
		product := new(big.Int).Mul(x, y)
		if got, fits := a.Mul(b); fits != (product.CmpAbs(edge) < 0) || fits && toBig(got).Cmp(product) != 0 {
			t.Fatalf("%v * %v = %v, %v", x, y, toBig(got), fits)
		}
		if got := toBig(a.Neg()); a != least && got.Cmp(new(big.Int).Neg(x)) != 0 {
			t.Fatalf("-%v = %v", x, got)
		}
		if b.Sign() > 0 && a.Within(b) != (x.CmpAbs(y) < 0) {
			t.Fatalf("%v within %v: %v", x, y, a.Within(b))
		}
		if n, fits := a.Int64(); fits != x.IsInt64() || fits && n != x.Int64() {
			t.Fatalf("%v as int64: %d, %v", x, n, fits)
		}
	}
}

func within(n *big.Int) bool { return n.Cmp(new(big.Int).Neg(edge)) >= 0 && n.Cmp(edge) < 0 }

func TestTens(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	ten := big.NewInt(10)
	for k := range TensMax + 1 {
		if got, want := toBig(Ten(k)), new(big.Int).Exp(ten, big.NewInt(int64(k)), nil); got.Cmp(want) != 0 {
			t.Fatalf("10^%d = %v", k, got)
		}
	}
	for range 10_000 {
		a, k := draw(r), r.IntN(2*TensMax+1)
		want, rest := new(big.Int).QuoRem(toBig(a), new(big.Int).Exp(ten, big.NewInt(int64(k)), nil), new(big.Int))
		if got, exact := a.Over10(k); toBig(got).Cmp(want) != 0 || exact != (rest.Sign() == 0) {
			t.Fatalf("%v / 10^%d = %v, %v", toBig(a), k, toBig(got), exact)
		}
	}
}

func TestText(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	for range 10_000 {
		a, scale := draw(r), r.IntN(TensMax+1)
		by := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(scale)), nil)
		want := new(big.Rat).SetFrac(toBig(a), by).FloatString(scale)
		if got := a.Text(scale); got != want {
			t.Fatalf("%v / 10^%d is %s, want %s", toBig(a), scale, got, want)
		}
	}
}
