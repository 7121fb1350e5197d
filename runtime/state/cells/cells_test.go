package cells

import (
	"encoding/binary"
	"math/rand/v2"
	"testing"
)

// Random runs are allocated, filled and freed: none may overlap another, and the count of live bytes is that of the model.
func TestArenaRunsDoNotOverlap(t *testing.T) {
	for seed := range uint64(4) {
		r := rand.New(rand.NewPCG(seed, 3))
		var a Arena
		type run struct {
			ref   Ref
			units uint32
			mark  uint64 // in each of its units
		}
		var runs []run
		live := int64(0)
		for i := range 60_000 {
			if len(runs) > 0 && r.IntN(100) < 40+10*(i/20_000) { // in the end more is freed
				k := r.IntN(len(runs))
				g := runs[k]
				runs[k] = runs[len(runs)-1]
				runs = runs[:len(runs)-1]
				for u := range g.units {
					if got := binary.LittleEndian.Uint64(a.At(g.ref)[u*Unit:]); got != g.mark {
						t.Fatalf("seed %d: unit %d of run %d belongs to run %d, too", seed, u, g.mark, got)
					}
				}
				a.Free(g.ref, g.units)
				live -= int64(g.units) * Unit
				continue
			}
			g := run{units: 1 + uint32(r.IntN(6)), mark: uint64(i)}
			switch r.IntN(2000) {
			case 0:
				g.units = 1000
			case 1:
				g.units = largeUnits + 1 + uint32(r.IntN(2*chunkUnits))
			}
			var err error
			if g.ref, err = a.Alloc(g.units); err != nil || g.ref == 0 || len(a.At(g.ref)) < int(g.units)*Unit {
				t.Fatalf("seed %d: run %d of %d units: %v", seed, g.ref, g.units, err)
			}
			for u := range g.units {
				binary.LittleEndian.PutUint64(a.At(g.ref)[u*Unit:], g.mark)
			}
			runs = append(runs, g)
			live += int64(g.units) * Unit
		}
		if got := a.LiveBytes(); got != live {
			t.Fatalf("seed %d: %d bytes live, the model has %d", seed, got, live)
		}
		if a.Bytes() > 5*live+16*chunkUnits*Unit {
			t.Fatalf("seed %d: %d bytes are held for %d", seed, a.Bytes(), live)
		}
	}
}

// The index against a map, with hashes that collide in part or in whole.
func TestIndexEqualsMap(t *testing.T) {
	for seed := range uint64(6) {
		r := rand.New(rand.NewPCG(seed, 4))
		hashes := []uint64{}
		for range 3000 {
			h := r.Uint64()
			switch r.IntN(20) {
			case 0:
				h &= 0xffff_ffff // tag 0
			case 1:
				h |= 0xffff_ffff << 32
			case 2:
				if len(hashes) > 0 {
					h = hashes[r.IntN(len(hashes))]&^0xffff | h&0xffff // one tag, two hashes
				}
			}
			hashes = append(hashes, h)
		}
		var x Index
		model := map[Ref]uint64{}
		byHash := map[uint64][]Ref{}
		next := Ref(1)
		find := func(h uint64, want Ref) (Cursor, bool) {
			ref, at := x.Find(h)
			for ; ref != 0; ref = x.Next(&at) {
				if ref == want {
					return at, true
				}
			}
			return at, false
		}
		for range 20_000 {
			h := hashes[r.IntN(len(hashes))]
			switch refs := byHash[h]; {
			case len(refs) == 0 || len(refs) < 3 && r.IntN(8) == 0:
				if err := x.Insert(h, next); err != nil {
					t.Fatal(err)
				}
				model[next] = h
				byHash[h] = append(refs, next)
				next++
			case r.IntN(3) == 0:
				at, ok := find(h, refs[0])
				if !ok {
					t.Fatalf("seed %d: ref %d is not found by %#x", seed, refs[0], h)
				}
				x.Delete(at)
				delete(model, refs[0])
				byHash[h] = refs[1:]
			default:
				x.Replace(h, refs[0], next)
				delete(model, refs[0])
				model[next], refs[0] = h, next
				next++
			}
		}
		if x.Len() != len(model) {
			t.Fatalf("seed %d: %d refs, the model has %d", seed, x.Len(), len(model))
		}
		for ref, h := range model {
			if _, ok := find(h, ref); !ok {
				t.Fatalf("seed %d: ref %d is not found by %#x", seed, ref, h)
			}
		}
		seen := map[Ref]bool{}
		x.All(func(ref Ref) {
			if _, ok := model[ref]; !ok || seen[ref] {
				t.Fatalf("seed %d: All gives %d, which is not there, or twice", seed, ref)
			}
			seen[ref] = true
		})
		var refs [Block]Ref
		x.FindAll(hashes[:Block], &refs)
		for i, h := range hashes[:Block] {
			if first, _ := x.Find(h); refs[i] != first {
				t.Fatalf("seed %d: FindAll gives %d for %#x, Find %d", seed, refs[i], h, first)
			}
		}
		if len(seen) != len(model) {
			t.Fatalf("seed %d: All gives %d of %d", seed, len(seen), len(model))
		}
	}
}

// Sweep takes out what was not used since the last round of the clock, and nothing else.
func TestSweepSparesWhatIsUsed(t *testing.T) {
	const n = 20_000
	r := rand.New(rand.NewPCG(5, 5))
	var x Index
	hashes := make([]uint64, n+1)
	for ref := Ref(1); ref <= n; ref++ {
		hashes[ref] = r.Uint64()
		if err := x.Insert(hashes[ref], ref); err != nil {
			t.Fatal(err)
		}
	}
	used := hashes[1 : n/2+1]
	x.Mark(used)
	gone := map[Ref]bool{}
	for range x.held {
		x.Sweep(func(ref Ref) bool {
			gone[ref] = true
			return true
		})
	}
	lost := 0
	for ref := Ref(1); ref <= n; ref++ {
		switch {
		case ref > n/2 && !gone[ref]:
			t.Fatalf("ref %d was not used and is spared", ref)
		case ref <= n/2 && gone[ref]:
			lost++
		}
	}
	// A slot that a deletion moves over the end of its segment is seen twice in one round.
	if lost > n/1000 || x.Len() != n/2-lost {
		t.Fatalf("%d of %d that were used are gone, %d are left", lost, n/2, x.Len())
	}
}

// A set of keys that share a tag is refused with an error, never a search without end.
func TestIndexRefusesHashesThatAreAlike(t *testing.T) {
	var x Index
	var err error
	for ref := Ref(1); err == nil && ref < 3000; ref++ {
		err = x.Insert(42<<32, ref)
	}
	if err != ErrCollide || x.Len() < 1000 {
		t.Fatalf("%v after %d refs", err, x.Len())
	}
}

// While a checkpoint reads, a frozen cell that was given back keeps its memory; after it the memory is used again.
func TestFrozenCellsStayUntilRelease(t *testing.T) {
	var l Ledger
	put := func(v byte) Ref {
		ref, err := l.Alloc(1)
		if err != nil {
			t.Fatal(err)
		}
		MakeHeader(0, 1, l.Gen()).Put(l.At(ref))
		l.At(ref)[8] = v
		l.Dirty(ref, 1)
		return ref
	}
	one := func([]byte) uint32 { return 1 }
	a, b := put(1), put(2)
	f, err := l.Freeze(false)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.Freeze(false); err == nil {
		t.Fatal("frozen twice")
	}
	l.Drop(a, HeaderOf(l.At(a)), 1)
	for range 100 {
		if c := put(9); c == a || c == b {
			t.Fatalf("cell %d is frozen and was given out", c)
		}
	}
	var seen []byte
	if err := f.Each(one, func(_ Ref, cell []byte) error {
		seen = append(seen, cell[8])
		return nil
	}); err != nil || string(seen) != "\x01\x02" {
		t.Fatalf("the checkpoint has %v: %v", seen, err)
	}
	live := l.LiveBytes()
	l.Release()
	l.Drain()
	if got := l.LiveBytes(); got != live-Unit {
		t.Fatalf("%d bytes are live after the release, %d before", got, live)
	}
}
