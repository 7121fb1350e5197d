package hot

import (
	"fmt"
	"slices"
	"strings"

	"github.com/tidemill/tidemill/runtime/record"
	"github.com/tidemill/tidemill/runtime/state"
	"github.com/tidemill/tidemill/runtime/state/cells"
	"github.com/tidemill/tidemill/runtime/state/hot/lists"
	"github.com/tidemill/tidemill/runtime/state/hot/maps"
	"github.com/tidemill/tidemill/runtime/state/hot/table"
	"github.com/tidemill/tidemill/runtime/state/hot/values"
	"github.com/tidemill/tidemill/runtime/state/timers"
)

// Backend is the keyed state of a subtask in hot tables. It implements state.Backend.
type Backend struct {
	options  state.Options
	tables   []table.Table // in the order of the declarations, then what was restored and is not declared
	byName   map[string]table.Table
	timers   timers.Queue
	clock    *table.Clock
	declared bool
	frozen   *Frozen     // not yet released
	store    table.Store // nil where all is in memory
	spaces   map[string]int
	evictor  evictor

	space *state.Space // of the last restored entry,
	into  table.Table  // and its table; nil where it is of timers
}

// New makes an empty back-end over an empty store, which it closes; store is nil where all is to be in memory.
func New(options state.Options, store table.Store) *Backend {
	return &Backend{options: options, store: store, clock: table.NewClock(), byName: map[string]table.Table{}, spaces: map[string]int{}}
}

func (b *Backend) newTable(s state.Space) (table.Table, error) {
	schema := table.Schema{Space: s, Life: table.Life{Clock: b.clock}}
	var beneath *table.Beneath
	if b.store != nil {
		beneath = &table.Beneath{Store: b.store, Number: len(b.spaces)}
		b.spaces[s.Name] = beneath.Number
	}
	switch s.Kind {
	case state.SpaceValue:
		return values.New(schema, beneath), nil
	case state.SpaceList:
		return lists.New(schema, beneath), nil
	case state.SpaceMap:
		return maps.New(schema, beneath), nil
	}
	return nil, state.CodeVersion.Errorf("space %q is of kind %d", s.Name, s.Kind).Do("a later version of tidemill wrote it: use that version")
}

// Declare implements state.Backend.
func (b *Backend) Declare(states []state.Decl, names []state.TimerDecl) error {
	if b.declared {
		return fmt.Errorf("Declare is called once")
	}
	b.declared = true
	old := b.tables
	b.tables = nil
	taken := map[table.Table]bool{}
	for _, d := range states {
		t := b.byName[d.Name]
		if t == nil {
			var err error
			if t, err = b.newTable(state.SpaceOf(d)); err != nil {
				return err
			}
			b.byName[d.Name] = t
		}
		if err := t.Declare(d); err != nil {
			return err
		}
		if taken[t] {
			return fmt.Errorf("state %q is declared twice", d.Name)
		}
		taken[t] = true
		b.tables = append(b.tables, t)
	}
	for _, t := range old {
		if !taken[t] {
			b.tables = append(b.tables, t)
		}
	}
	if err := b.timers.Declare(names); err != nil || b.options.AllowUndeclared {
		return err
	}
	return b.claimed(taken)
}

// claimed refuses to go on where states or timers were restored that are not declared: whoever renamed one would lose it unawares.
func (b *Backend) claimed(declared map[table.Table]bool) error {
	var left []string
	for name, t := range b.byName {
		if n := t.Counted().Cells; !declared[t] && (n > 0 || b.store != nil) {
			left = append(left, describe(name, n))
		}
	}
	for name, n := range b.timers.Undeclared() {
		left = append(left, describe("timer "+name, n))
	}
	if len(left) == 0 {
		return nil
	}
	slices.Sort(left)
	return state.CodeUndeclared.Errorf("the checkpoint has state that the operator does not declare: %s", strings.Join(left, ", ")).
		Do("give the state or timer its old name; or run with --allow-undeclared, which leaves it unused and keeps it in the checkpoints; or start anew with --fresh")
}

// describe names what is left over. Over a store its number is not known.
func describe(name string, entries int64) string {
	if entries <= 0 {
		return name
	}
	return fmt.Sprintf("%s (%d in one subtask)", name, entries)
}

// Load implements state.Backend.
func (b *Backend) Load(s int, keys *record.KeySet, limit int, dst *state.Cells) error {
	b.evict()
	err := b.tables[s].Load(keys, limit, dst)
	b.rest()
	return err
}

// Get implements state.Backend.
func (b *Backend) Get(s int, hash uint64, key, mapKey []byte, dst []record.Column) (bool, error) {
	found, err := b.tables[s].Get(hash, key, mapKey, dst)
	b.rest()
	return found, err
}

// Scan implements state.Backend.
func (b *Backend) Scan(s int, hash uint64, key, low, high []byte, descending bool) (state.Scanner, error) {
	m, ok := b.tables[s].(*maps.Table)
	if !ok {
		return nil, fmt.Errorf("state %d is no map", s)
	}
	return m.Scan(hash, key, low, high, descending), nil
}

// rest ends a run of reads of the store.
func (b *Backend) rest() {
	if b.store != nil {
		b.store.Rest()
	}
}

// Apply implements state.Backend.
func (b *Backend) Apply(s int, keys *record.KeySet, c *state.Changes) error {
	b.settle()
	b.evict()
	t := b.tables[s]
	before := t.Counted().Bytes
	if err := t.Apply(keys, c); err != nil {
		return err
	}
	if err := sweepAfter(t, len(c.Key), t.Counted().Bytes-before); err != nil {
		return err
	}
	return b.check()
}

// evictor keeps Backend.evict from looking again and again where there is nothing to find.
type evictor struct {
	pause, skip int
}

// evictSegments bounds the work of one call of evict, in segments of the indexes.
const evictSegments = 64

// evict forgets clean cells while there are more than the options allow.
func (b *Backend) evict() {
	e := &b.evictor
	if b.store == nil || b.options.HotBytesMax == 0 {
		return
	}
	if e.skip > 0 {
		e.skip--
		return
	}
	before := b.clean()
	now := before
	for i := 0; now > b.options.HotBytesMax && i < evictSegments; i++ {
		largest := b.tables[0]
		for _, t := range b.tables[1:] {
			if t.Clean() > largest.Clean() {
				largest = t
			}
		}
		largest.Evict()
		now = b.clean()
	}
	if e.pause = 2*e.pause + 1; now < before || now <= b.options.HotBytesMax {
		e.pause = 0
	}
	e.skip = min(e.pause, evictSegments)
}

func (b *Backend) clean() int64 {
	n := int64(0)
	for _, t := range b.tables {
		n += t.Clean()
	}
	return n
}

// check enforces the limit of the subtask's state. What has expired counts until it is swept, so that is done before it is refused.
func (b *Backend) check() error {
	most := b.options.StateBytesMax
	if most == 0 {
		return nil
	}
	n := b.stateBytes()
	if n > most && b.store == nil {
		if err := b.sweepAll(); err != nil {
			return err
		}
		n = b.stateBytes()
	}
	if n <= most {
		return nil
	}
	return state.CodeLimit.Errorf("the state of one subtask has %d bytes, its limit is %d", n, most).
		Do("raise state_bytes_max, raise the parallelism, or let the operator clear what it does not need any more")
}

// stateBytes is the size of all rows with their keys, or over a store what that occupies and what it does not have yet.
func (b *Backend) stateBytes() int64 {
	n := b.timers.StateBytes()
	if b.store != nil {
		n += b.store.Bytes()
	}
	for _, t := range b.tables {
		if b.store != nil {
			n += t.Changed()
		} else {
			n += t.Counted().Bytes
		}
	}
	return n
}

// ApplyTimers implements state.Backend.
func (b *Backend) ApplyTimers(keys *record.KeySet, c *state.TimerChanges, reached [2]int64) error {
	b.settle()
	if err := b.timers.Apply(keys, c, reached); err != nil {
		return err
	}
	return b.check()
}

// Due implements state.Backend.
func (b *Backend) Due(d state.Domain, upTo int64, most int, dst *state.Round) (int, error) {
	return b.timers.Due(d, upTo, most, dst), nil
}

// Fired implements state.Backend.
func (b *Backend) Fired(d state.Domain, r *state.Round, from, to int) error {
	b.timers.Fired(d, r, from, to)
	return nil
}

// NextTimer implements state.Backend.
func (b *Backend) NextTimer(d state.Domain) (int64, bool) { return b.timers.Next(d) }

// Restore implements state.Backend.
func (b *Backend) Restore(from state.Reader, groups [2]int, maxParallelism int) error {
	if b.declared {
		return fmt.Errorf("Restore comes before Declare")
	}
	if err := restore(from, groups, maxParallelism, b.restoreEntry); err != nil || b.store == nil {
		return err
	}
	return b.store.Commit()
}

func (b *Backend) restoreEntry(e *state.Entry, hash uint64) error {
	switch e.Space.Kind {
	case state.SpaceTimersEvent, state.SpaceTimersProcessing:
		return b.timers.Restore(e, hash)
	}
	if b.space != e.Space {
		t := b.byName[e.Space.Name]
		if t == nil {
			var err error
			if t, err = b.newTable(*e.Space); err != nil {
				return err
			}
			b.byName[e.Space.Name] = t
			b.tables = append(b.tables, t)
		}
		b.space, b.into = e.Space, t
	}
	if len(e.Key) > cells.KeyMax || len(e.Sub) > cells.KeyMax || len(e.Value) > cells.RowMax {
		return state.CodeDamaged.Errorf("an entry of state %q has a key of %d, a map key of %d and a row of %d bytes",
			e.Space.Name, len(e.Key), len(e.Sub), len(e.Value)).Do("restore from an older checkpoint")
	}
	return b.into.Restore(e, hash)
}

// Stats implements state.Backend.
func (b *Backend) Stats() state.Stats {
	s := state.Stats{Timers: b.timers.Len(), HotBytes: b.timers.HeldBytes()}
	for _, t := range b.tables {
		s.Cells += t.Counted().Cells
		s.HotBytes += t.Held()
		s.Expired += t.Lifetime().Swept
	}
	if b.store != nil {
		s.Expired = b.store.Swept() // what leaves memory only is still there
		s.Cells, s.StoreBytes, s.StoreReads = -1, b.store.Bytes(), b.store.Reads()
	}
	return s
}

// Close implements state.Backend.
func (b *Backend) Close() error {
	store := b.store
	b.tables, b.byName, b.store = nil, nil, nil
	if store == nil {
		return nil
	}
	return store.Close()
}

// Freeze implements state.Backend.
func (b *Backend) Freeze(base bool) (state.Frozen, error) {
	b.settle()
	if b.frozen != nil {
		return nil, fmt.Errorf("the former Frozen has not been closed")
	}
	if err := b.sweepBefore(); err != nil {
		return nil, err
	}
	f := &Frozen{store: b.store, base: base}
	if b.store != nil {
		f.spaces = map[string]int{}
		for name, number := range b.spaces {
			f.spaces[name] = number
		}
	}
	for _, t := range b.tables {
		// Over a store, a base is what the store has once the changes have reached it.
		ft, err := t.Freeze(base && b.store == nil)
		if err != nil {
			return nil, err
		}
		f.tables = append(f.tables, ft)
		if life := t.Lifetime(); life.Ends {
			f.at = life.Cutoff()
			f.ending = append(f.ending, f.spaces[ft.Space().Name])
		}
	}
	var err error
	if f.timers, err = b.timers.Freeze(base); err != nil {
		return nil, err
	}
	b.frozen = f
	return f, nil
}

// settle takes back what a checkpoint held, once that is done.
func (b *Backend) settle() {
	if b.frozen == nil || !b.frozen.closed.Load() {
		return
	}
	b.frozen = nil
	b.evictor = evictor{}
	for _, t := range b.tables {
		t.Release()
	}
	b.timers.Release()
}
