package record

import (
	"testing"
	"encoding/binary"
	"math/rand/v2"
)

func TestHashInt(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 1000 {
		u := r.Uint64() >> r.IntN(64)
		key := binary.BigEndian.AppendUint64([]byte{1}, u)
		if got, want := hashInt(u), HashKey(key); got != want {
			t.Fatalf("%x: %x %x", u, got, want)
		}
	}
}
