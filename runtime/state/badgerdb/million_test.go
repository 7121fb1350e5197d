package badgerdb

import (
	"encoding/binary"
	"math/rand/v2"
	"testing"

	"github.com/tidemill/tidemill/runtime/record"
	"github.com/tidemill/tidemill/runtime/state"
)

// million is a keyed count of more keys than memory may hold, beside the same counts in a slice. 0 is no cell.
type million struct {
	t       testing.TB
	b       state.Backend
	counts  []int64
	batch   *record.Batch
	keys    record.KeySet
	cells   state.Cells
	changes state.Changes
	done    chan error
	entries map[int64]int64 // what the last base wrote
}

func newMillion(t testing.TB, n int, hotBytes int64) *million {
	b, err := Factory{}.New(state.Options{Dir: t.TempDir(), HotBytesMax: hotBytes})
	if err != nil {
		t.Fatal(err)
	}
	m := &million{t: t, b: b, counts: make([]int64, n), changes: state.Changes{Columns: []record.Column{record.NewColumn(record.I64, record.RowsMax)}}}
	m.batch = record.NewBatch(&record.Schema{Fields: []record.Field{{Name: "k", Type: record.I64}}}, record.RowsMax)
	m.must(b.Declare([]state.Decl{{Name: "count", Kind: state.Value, Value: []record.Field{{Name: "n", Type: record.I64}}}}, nil))
	t.Cleanup(func() {
		m.wait()
		m.must(b.Close())
	})
	return m
}

// step loads the cells of some keys, compares them with the model, and adds one, or clears every seventh key.
func (m *million) step(keys []int) {
	c := &m.batch.Columns[0]
	c.Reset()
	for _, k := range keys {
		c.AppendInt(int64(k))
	}
	m.batch.Rows = len(keys)
	m.keys.Build(m.batch, []int{0}, 0, len(keys))
	m.must(m.b.Load(0, &m.keys, 1<<16, &m.cells))
	ch := &m.changes
	ch.Key, ch.Op = ch.Key[:0], ch.Op[:0]
	ch.Columns[0].Reset()
	for i, row := range m.keys.First {
		k := keys[row]
		got := int64(0)
		if m.cells.Status[i] == state.Inline {
			got = m.cells.Columns[0].Int64s()[i]
		}
		if want := m.counts[k]; got != want || (want == 0) != (m.cells.Status[i] == state.Absent) {
			m.t.Fatalf("key %d has %d (status %d), the model %d", k, got, m.cells.Status[i], want)
		}
		op := uint8(state.OpSet)
		if m.counts[k]++; m.counts[k] > 1 && k%7 == 0 {
			op, m.counts[k] = state.OpClear, 0
		}
		ch.Key, ch.Op = append(ch.Key, uint32(i)), append(ch.Op, op)
		ch.Columns[0].AppendInt(m.counts[k])
	}
	m.must(m.b.Apply(0, &m.keys, ch))
}

// checkpoint waits for the last one and begins another, which is written while the owner goes on.
func (m *million) checkpoint(base bool) {
	m.wait()
	f, err := m.b.Freeze(base)
	m.must(err)
	m.entries = map[int64]int64{}
	m.done = make(chan error, 1)
	go func(done chan<- error) {
		err := f.Write(m)
		if err == nil {
			err = f.Close()
		}
		done <- err
	}(m.done)
}

func (m *million) wait() {
	if m.done != nil {
		m.must(<-m.done)
		m.done = nil
	}
}

func (m *million) must(err error) {
	m.t.Helper()
	if err != nil {
		m.t.Fatal(err)
	}
}

// Begin implements state.Writer.
func (m *million) Begin(state.Space) error { return nil }

// Put implements state.Writer: the encoding of key and row are those of abi/SPEC.md and of a row at rest.
func (m *million) Put(key, _, row []byte) error {
	m.entries[int64(binary.BigEndian.Uint64(key[1:])^1<<63)] = int64(binary.LittleEndian.Uint64(row[2:]))
	return nil
}

// Delete implements state.Writer.
func (m *million) Delete(_, _ []byte) error { return nil }

// A million keys over a hot table of 1 MiB equal the model, which they can only do by way of Badger.
func TestMillionKeysOverOneMiB(t *testing.T) {
	const (
		hotBytes, rows = 1 << 20, 4096
		cellBytes      = 32             // of a key, a count and their header
		between        = 16             // batches between checkpoints
		changed        = between * rows // cells that one checkpoint keeps in memory until it is written
		held           = hotBytes/cellBytes + 2*changed
	)
	n := 1_000_000
	if testing.Short() {
		n = 300_000
	}
	m := newMillion(t, n, hotBytes)
	b := m.b
	// Every key once, in random order, then a fifth of them again, at random.
	r := rand.New(rand.NewPCG(7, 7))
	order := r.Perm(n)
	for range n / 5 {
		order = append(order, r.IntN(n))
	}
	var reads int64
	for i := 0; i < len(order); i += rows {
		if i < n {
			reads = b.Stats().StoreReads
		}
		m.step(order[i:min(i+rows, len(order))])
		if i/rows%between == between-1 {
			m.checkpoint(false)
		}
	}
	again := b.Stats().StoreReads - reads
	m.checkpoint(true)
	m.wait()
	live := 0
	for k, want := range m.counts {
		if want != 0 {
			live++
		}
		if m.entries[int64(k)] != want {
			t.Fatalf("the base has %d for key %d, the model %d", m.entries[int64(k)], k, want)
		}
	}
	if len(m.entries) != live {
		t.Fatalf("the base has %d entries, the model %d", len(m.entries), live)
	}
	// No more than held cells are in memory: the others must have been read when they were used again.
	stats := b.Stats()
	if least := int64(n/5) * int64(n-held) / int64(n) * 9 / 10; again < least {
		t.Fatalf("Badger was read %d times for %d keys used again, not %d", again, n/5, least)
	}
	if most := int64(hotBytes + 2*changed*2*cellBytes); stats.HotBytes > most {
		t.Fatalf("%d bytes are in memory, at most %d should be", stats.HotBytes, most)
	}
	t.Logf("%d reads of Badger, %d of them for keys used again; %d bytes in memory", stats.StoreReads, again, stats.HotBytes)
}
