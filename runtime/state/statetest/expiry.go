package statetest

import (
	"fmt"
	"slices"
	"testing"

	"github.com/tidemill/tidemill/runtime/record"
	"github.com/tidemill/tidemill/runtime/state"
)

const (
	expiryStart = 1_700_000_000_000_000 // us
	expiryTTL   = 5000                  // us
)

// expiring is a back-end with a value, a list and a map state of an integer, each with a TTL; the value has also one without.
type expiring struct {
	t testing.TB
	b state.Backend
}

// Positions of the states of expiringStates.
const (
	expiringValue = iota
	expiringList
	expiringMap
	lasting
)

func expiringStates(ttl int64) []state.Decl {
	n := []record.Field{{Name: "n", Type: record.I64}}
	return []state.Decl{
		{Name: "value", Kind: state.Value, Value: n, TTL: ttl}, {Name: "list", Kind: state.List, Value: n, TTL: ttl},
		{Name: "map", Kind: state.Map, MapKey: []record.Field{{Name: "k", Type: record.I64}}, Value: n, TTL: ttl},
		{Name: "lasting", Kind: state.Value, Value: n},
	}
}

func newExpiring(t *testing.T, open Opener, o state.Options, ttl int64, from ...*Segment) *expiring {
	t.Helper()
	b := open(t, o)
	for _, s := range from {
		must(t, b.Restore(s.Reader(), [2]int{0, maxParallelism}, maxParallelism))
	}
	must(t, b.Declare(expiringStates(ttl), nil))
	b.SetNow(expiryStart)
	return &expiring{t, b}
}

func (e *expiring) must(err error) {
	e.t.Helper()
	if err != nil {
		e.t.Fatal(err)
	}
}

// write sets, or appends, n as the value of keys, in the map as that of map key n.
func (e *expiring) write(s int, n int64, keys ...int64) {
	e.t.Helper()
	c := &state.Changes{}
	columns := 1
	op := uint8(state.OpSet)
	switch s {
	case expiringList:
		op = state.OpAppend
	case expiringMap:
		columns = 2
	}
	for range columns {
		c.Columns = append(c.Columns, record.NewColumn(record.I64, len(keys)))
	}
	for i := range keys {
		c.Key, c.Op = append(c.Key, uint32(i)), append(c.Op, op)
		for k := range c.Columns {
			c.Columns[k].AppendInt(n)
		}
	}
	e.must(e.b.Apply(s, keysOf(keys...), c))
}

// read returns a key's numbers, as Load, Get and Scan all give them.
func (e *expiring) read(s int, key int64) string {
	e.t.Helper()
	keys := keysOf(key)
	var c state.Cells
	e.must(e.b.Load(s, keys, 1<<16, &c))
	loaded := []int64{}
	switch {
	case c.Status[0] == state.Absent:
	case c.Start != nil:
		loaded = append(loaded, c.Columns[len(c.Columns)-1].Int64s()[c.Start[0]:c.Start[1]]...)
	default:
		loaded = append(loaded, c.Columns[0].Int64s()[0])
	}
	if c.Status[0] == state.Inline && len(loaded) == 0 {
		e.t.Fatalf("state %d of key %d is inline and empty", s, key)
	}
	if asked := e.ask(s, keys); !slices.Equal(loaded, asked) {
		e.t.Fatalf("state %d of key %d: Load gives %v, reading it alone %v", s, key, loaded, asked)
	}
	return fmt.Sprint(loaded)
}

// ask reads without Load.
func (e *expiring) ask(s int, keys *record.KeySet) []int64 {
	e.t.Helper()
	if s != expiringMap {
		dst := []record.Column{record.NewColumn(record.I64, 8)}
		found, err := e.b.Get(s, keys.Hash[0], keys.Key(0), nil, dst)
		e.must(err)
		if found != (dst[0].Len > 0) {
			e.t.Fatalf("state %d is found %v with %d rows", s, found, dst[0].Len)
		}
		return dst[0].Int64s()
	}
	var all []int64
	for _, descending := range []bool{false, true} {
		scan, err := e.b.Scan(s, keys.Hash[0], keys.Key(0), nil, nil, descending)
		e.must(err)
		dst := []record.Column{record.NewColumn(record.I64, 8), record.NewColumn(record.I64, 8)}
		for n := 1; n > 0; {
			n, err = scan.Next(dst, 3)
			e.must(err)
		}
		all = slices.Clone(dst[1].Int64s())
		if descending {
			slices.Reverse(all)
		}
	}
	for _, n := range all {
		mapKey := record.NewColumn(record.I64, 1)
		mapKey.AppendInt(n)
		dst := []record.Column{record.NewColumn(record.I64, 1)}
		found, err := e.b.Get(s, keys.Hash[0], keys.Key(0), record.AppendKey(nil, []record.Column{mapKey}, []int{0}, 0), dst)
		if e.must(err); !found {
			e.t.Fatalf("a scan gives entry %d, Get does not", n)
		}
	}
	return all
}

func (e *expiring) expect(what string, s int, key int64, want string) {
	e.t.Helper()
	if got := e.read(s, key); got != want {
		e.t.Fatalf("%s: state %d of key %d has %s, not %s", what, s, key, got, want)
	}
}

// runExpiry is the sentence of the specification: from the last write on for the TTL and not a microsecond longer, element by
// element and entry by entry, and reading does not renew.
func runExpiry(t *testing.T, open Opener) {
	for _, checkpoints := range []bool{false, true} { // after every write
		t.Run(fmt.Sprint("checkpoints=", checkpoints), func(t *testing.T) {
			e := newExpiring(t, open, state.Options{HotBytesMax: 1}, expiryTTL)
			write := func(s int, n int64) {
				if e.write(s, n, 1); checkpoints {
					checkpointOf(t, e.b, false)
				}
			}
			for s := range lasting + 1 {
				write(s, 1)
			}
			e.b.SetNow(expiryStart + 3000)
			write(expiringList, 2)
			write(expiringMap, 2)
			at := func(after int64, value, list, entries string) {
				t.Helper()
				e.b.SetNow(expiryStart + after)
				for range 2 { // reading changes nothing
					what := fmt.Sprintf("%d us after the first write", after)
					e.expect(what, expiringValue, 1, value)
					e.expect(what, expiringList, 1, list)
					e.expect(what, expiringMap, 1, entries)
					e.expect(what, lasting, 1, "[1]")
				}
			}
			at(4999, "[1]", "[1 2]", "[1 2]")
			at(5000, "[]", "[2]", "[2]")
			at(4000, "[]", "[2]", "[2]") // time does not go back
			write(expiringMap, 1)        // written anew
			write(expiringValue, 7)
			at(7999, "[7]", "[2]", "[1 2]")
			at(8000, "[7]", "[]", "[1]")
			write(expiringList, 3)
			write(expiringValue, 8)
			at(9999, "[8]", "[3]", "[1]")
			at(10_000, "[8]", "[3]", "[]")
			at(12_999, "[8]", "[3]", "[]")
			at(13_000, "[]", "[]", "[]")
		})
	}
}

// runExpiryChanged restores under other TTLs: what is there keeps the expiry that it was written with, or has none, and what is
// written from then on has that of the new declaration.
func runExpiryChanged(t *testing.T, open Opener) {
	for _, c := range []struct {
		before, after int64 // TTL
		old           int64 // the old cells are there before so many us, 0 for ever
		anew          int64 // and those written again at 1000
	}{
		{0, 5000, 0, 6000}, {5000, 0, 5000, 0}, {5000, 50_000, 5000, 51_000}, {50_000, 2000, 50_000, 3000},
	} {
		for _, base := range []bool{false, true} {
			t.Run(fmt.Sprintf("from %d to %d, base %v", c.before, c.after, base), func(t *testing.T) {
				e := newExpiring(t, open, state.Options{}, c.before)
				for s := range lasting {
					e.write(s, 1, 1, 2)
				}
				segment := checkpointOf(t, e.b, base)
				e = newExpiring(t, open, state.Options{HotBytesMax: 1}, c.after, segment)
				e.b.SetNow(expiryStart + 1000)
				for s := range lasting {
					e.write(s, 1, 2)
				}
				there := func(end, at int64) bool { return end == 0 || at < end }
				for _, at := range []int64{1000, 2999, 3000, 4999, 5000, 5999, 6000, 49_999, 50_000, 50_999, 51_000, 1_000_000} {
					e.b.SetNow(expiryStart + at)
					list := []int64{}
					want := map[bool]string{true: "[1]", false: "[]"}
					if there(c.old, at) {
						list = append(list, 1)
					}
					if there(c.anew, at) {
						list = append(list, 1)
					}
					what := fmt.Sprintf("at %d", at)
					e.expect(what, expiringValue, 1, want[there(c.old, at)])
					e.expect(what, expiringMap, 1, want[there(c.old, at)])
					e.expect(what, expiringList, 1, want[there(c.old, at)])
					e.expect(what, expiringValue, 2, want[there(c.anew, at)])
					e.expect(what, expiringMap, 2, want[there(c.anew, at)])
					e.expect(what, expiringList, 2, fmt.Sprint(list))
					checkpointOf(t, e.b, false)
				}
			})
		}
	}
}

// writeMany writes 1 to each expiring state of n keys from the first on.
func (e *expiring) writeMany(first, n int64) {
	e.t.Helper()
	const batch = 1000
	for at := first; at < first+n; at += batch {
		keys := make([]int64, batch)
		for i := range keys {
			keys[i] = at + int64(i)
		}
		for s := range lasting {
			e.write(s, 1, keys...)
		}
	}
}

// moreThanSwept is a number of keys of which one Freeze does not sweep all cells.
const moreThanSwept = 40_000

// runExpiryFrees fills a back-end with cells that nobody reads again, and sees them go: by checkpoints alone, and by the writing of
// others; a base that is taken at once has none of them, and a limit that they pass does not count.
func runExpiryFrees(t *testing.T, open Opener) {
	const n = 6000
	gone := func(e *expiring) int64 { return e.b.Stats().Expired }
	t.Run("by checkpoints", func(t *testing.T) {
		const n = moreThanSwept
		e := newExpiring(t, open, state.Options{}, expiryTTL)
		e.writeMany(0, n)
		checkpointOf(t, e.b, false)
		e.writeMany(0, n) // the lists have two elements now
		e.b.SetNow(expiryStart + expiryTTL)
		if s := checkpointOf(t, e.b, true); s.Len() != 0 {
			t.Fatalf("a base of nothing but what has expired has %d entries", s.Len())
		}
		want := int64(4 * n)
		if e.b.Stats().Cells < 0 {
			want = 3 * n // the second elements have expired before they reach the store, and never do
		}
		for i := 0; gone(e) < want; i++ {
			if checkpointOf(t, e.b, false); i == 100 {
				t.Fatalf("%d of %d cells are gone after %d checkpoints", gone(e), want, i)
			}
		}
		for range 3 { // in which nothing is left to go
			checkpointOf(t, e.b, false)
		}
		if after := e.b.Stats(); gone(e) != want || after.Cells > 0 {
			t.Fatalf("of %d cells %d are gone: %+v", want, gone(e), after)
		}
	})
	t.Run("by writing", func(t *testing.T) {
		e := newExpiring(t, open, state.Options{}, expiryTTL)
		most := int64(0)
		for round := range int64(6) {
			e.b.SetNow(expiryStart + round*expiryTTL)
			e.writeMany(round*n, n)
			checkpointOf(t, e.b, false)
			most = max(most, e.b.Stats().Cells)
		}
		if most > 2*3*n+n {
			t.Fatalf("%d cells are there, %d of them live", most, 3*n)
		}
		if gone(e) < 3*3*n {
			t.Fatalf("%d cells are gone of %d that expired", gone(e), 5*3*n)
		}
		s := checkpointOf(t, e.b, true)
		if s.Len() != 3*n {
			t.Fatalf("a base has %d entries, %d live", s.Len(), 3*n)
		}
	})
	if newExpiring(t, open, state.Options{}, expiryTTL).b.Stats().Cells < 0 {
		return // over a store the limit is on the room that it takes, which Badger frees in its own time
	}
	t.Run("before the limit", func(t *testing.T) {
		e := newExpiring(t, open, state.Options{StateBytesMax: 3 << 19}, expiryTTL)
		for round := range int64(6) {
			e.b.SetNow(expiryStart + round*expiryTTL)
			e.writeMany(round*n, n) // some 800 kB
		}
	})
}

// runExpiryChain restores chains of segments in which a row that has expired lies over one that would not have: swept before it was
// in a segment, or while it is being written, or, where there are many, written as it is.
func runExpiryChain(t *testing.T, open Opener) {
	const n = moreThanSwept
	first := newExpiring(t, open, state.Options{}, 0)
	first.writeMany(0, n)
	base := checkpointOf(t, first.b, true)
	for _, live := range []bool{true, false} { // when the second checkpoint is taken
		t.Run(fmt.Sprint("live=", live), func(t *testing.T) {
			e := newExpiring(t, open, state.Options{}, expiryTTL, base)
			e.writeMany(0, n)
			if !live {
				e.b.SetNow(expiryStart + expiryTTL)
			}
			frozen, err := e.b.Freeze(false)
			must(t, err)
			e.b.SetNow(expiryStart + expiryTTL)
			e.writeMany(n, 10_000) // which sweeps
			gone := func(what string) {
				t.Helper()
				for _, key := range []int64{0, 777, n / 2, n - 1} {
					e.expect(what, expiringValue, key, "[]")
					e.expect(what, expiringMap, key, "[]")
					e.expect(what, expiringList, key, "[1]") // the element without an expiry
				}
			}
			gone("frozen")
			delta := &Segment{}
			must(t, frozen.Write(delta))
			must(t, frozen.Close())
			gone("written")
			again := newExpiring(t, open, state.Options{}, 0, base, delta)
			again.b.SetNow(expiryStart + expiryTTL)
			left := map[string]int{}
			for _, entry := range checkpointOf(t, again.b, true).entries {
				left[entry.Space.Name]++
			}
			if left["value"] != 0 || left["map"] != 0 || left["list"] != n {
				t.Fatalf("restored, a base has %v", left)
			}
		})
	}
}
