package checkpoint

import (
	"encoding/binary"
	"errors"
	"io"
	"io/fs"
	"slices"
	"strings"

	"github.com/zeebo/xxh3"

	"github.com/tidemill/tidemill/runtime/checkpoint/segment"
	"github.com/tidemill/tidemill/runtime/state"
)

// Checkpoints reads the manifests of a store, oldest first, and not its segments.
func Checkpoints(view View) ([]Verified, error) {
	files, err := view.List()
	if err != nil {
		return nil, err
	}
	var list []Verified
	for _, id := range manifestIDs(files) {
		m, _, err := ReadManifest(view, id)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		damage, err := addDamage(nil, err)
		if err != nil {
			return nil, err
		}
		list = append(list, Verified{Checkpoint: id, Manifest: m, Damage: damage})
	}
	return list, nil
}

// Find returns a checkpoint of a store, the newest with a readable manifest where the id is 0.
func Find(view View, checkpoint uint64) (*Manifest, error) {
	list, err := Checkpoints(view)
	if err != nil {
		return nil, err
	}
	for _, v := range slices.Backward(list) {
		switch {
		case checkpoint == 0 && v.Manifest != nil, checkpoint == v.Checkpoint && v.Manifest != nil:
			return v.Manifest, nil
		case checkpoint == v.Checkpoint:
			return nil, segment.Damaged(v.Damage[0].File, v.Damage[0].Offset, "%s", v.Damage[0].What)
		}
	}
	if checkpoint == 0 {
		return nil, ErrUnknown.Errorf("the store has no checkpoint").At("%s", view.Place("")).
			Do("a running job writes the first one after checkpoint.interval")
	}
	return nil, ErrUnknown.Errorf("the store has no checkpoint %d", checkpoint).At("%s", view.Place("")).
		Do("`tidemill checkpoint ls` lists those that it has")
}

// StateNodes lists the names of the nodes that have state in the checkpoint, sorted.
func (m *Manifest) StateNodes() []string {
	var nodes []string
	for _, s := range m.Segments {
		nodes = append(nodes, s.Node)
	}
	slices.Sort(nodes)
	return slices.Compact(nodes)
}

// Filter limits a scan; the zero Filter passes everything.
type Filter struct {
	State string // name of a state or timer, "" for all
	Key   []byte // encoded key, nil for all
}

func (f *Filter) passes(e *state.Entry) bool {
	return (f.State == "" || e.Space.Name == f.State) && (f.Key == nil || string(e.Key) == string(f.Key))
}

// ScanState calls emit with each live entry of a node's state, in no particular order: one that has not been changed or deleted since,
// and has not expired by the checkpoint's processing time. Slices are valid during the call. It reads the node's segments twice, the
// first time to verify them and to find what is live: that takes about 60 bytes of memory an entry that passes the filter. A node
// without state is an ErrUnknown.
func ScanState(view View, m *Manifest, node string, filter Filter, emit func(state.Entry) error) error {
	if nodes := m.StateNodes(); !slices.Contains(nodes, node) {
		e := ErrUnknown.Errorf("checkpoint %d has no state of operator %q", m.Checkpoint, node)
		switch {
		case len(nodes) > 0:
			return e.Do("operators with state in it: %s", strings.Join(nodes, ", "))
		case m.Finished:
			return e.Do("the job has finished, and no operator kept anything beyond its end")
		}
		return e.Do("no operator keeps anything in this checkpoint")
	}
	chain := m.Chain(node, [2]int{0, m.MaxParallelism})
	live := liveness{last: map[xxh3.Uint128]uint64{}, cleared: map[xxh3.Uint128]uint64{}}
	if err := scanChain(view, chain, filter, func(e state.Entry, seq uint64) error {
		live.note(&e, seq)
		return nil
	}); err != nil {
		return err
	}
	return scanChain(view, chain, filter, func(e state.Entry, seq uint64) error {
		if expiry, ends := state.Expiry(e.Value); !live.holds(&e, seq) || ends && expiry <= m.ProcessingTime {
			return nil
		}
		return emit(e)
	})
}

// scanChain goes through all entries of a chain that pass the filter; seq counts them from 1.
func scanChain(view View, chain []Segment, filter Filter, visit func(e state.Entry, seq uint64) error) error {
	seq := uint64(0)
	for _, s := range chain {
		r, err := OpenSegment(view, s)
		if err != nil {
			return err
		}
		err = scanSegment(r, filter, &seq, visit)
		r.Close()
		if err != nil {
			return err
		}
	}
	return nil
}

func scanSegment(r *segment.Reader, filter Filter, seq *uint64, visit func(e state.Entry, seq uint64) error) error {
	for {
		e, err := r.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if !filter.passes(&e) {
			continue
		}
		*seq++
		if err := visit(e, *seq); err != nil {
			return err
		}
	}
}

// liveness knows which of many writes to an entry is the last. Entries are known by their hash.
type liveness struct {
	last    map[xxh3.Uint128]uint64 // of an entry: its newest write
	cleared map[xxh3.Uint128]uint64 // of a key: the newest deletion of all its entries
	buf     []byte
}

func (l *liveness) hash(e *state.Entry, sub []byte) xxh3.Uint128 {
	l.buf = append(l.buf[:0], byte(e.Space.Kind))
	l.buf = binary.AppendUvarint(l.buf, uint64(len(e.Space.Name)))
	l.buf = binary.AppendUvarint(append(l.buf, e.Space.Name...), uint64(len(e.Key)))
	l.buf = append(append(l.buf, e.Key...), sub...)
	return xxh3.Hash128(l.buf)
}

// clears says whether the entry stands for all entries of its key.
func clears(e *state.Entry) bool {
	return e.Deleted && len(e.Sub) == 0 && (e.Space.Kind == state.SpaceList || e.Space.Kind == state.SpaceMap)
}

func (l *liveness) note(e *state.Entry, seq uint64) {
	switch {
	case clears(e):
		l.cleared[l.hash(e, nil)] = seq
	case e.Deleted:
		delete(l.last, l.hash(e, e.Sub))
	default:
		l.last[l.hash(e, e.Sub)] = seq
	}
}

func (l *liveness) holds(e *state.Entry, seq uint64) bool {
	return !e.Deleted && l.last[l.hash(e, e.Sub)] == seq && l.cleared[l.hash(e, nil)] < seq
}
