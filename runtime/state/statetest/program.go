package statetest

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/tidemill/tidemill/runtime/record"
	"github.com/tidemill/tidemill/runtime/state"
)

// Opener makes an empty back-end for one test. What it needs it takes from t.
type Opener func(t *testing.T, o state.Options) state.Backend

const maxParallelism = 16

var (
	keyFields = []record.Field{{Name: "user", Type: record.UTF8}, {Name: "shard", Type: record.I32, Nullable: true}}

	states = []state.Decl{
		{Name: "count", Kind: state.Value, Value: []record.Field{{Name: "n", Type: record.I64}}},
		{Name: "profile", Kind: state.Value, Value: []record.Field{
			{Name: "name", Type: record.UTF8}, {Name: "ok", Type: record.Bool, Nullable: true}, {Name: "age", Type: record.I8, Nullable: true},
			{Name: "day", Type: record.Date32}, {Name: "score", Type: record.F64, Nullable: true}, {Name: "blob", Type: record.Binary, Nullable: true}}},
		{Name: "clicks", Kind: state.List, Value: []record.Field{{Name: "at", Type: record.Timestamp}, {Name: "page", Type: record.UTF8, Nullable: true}}},
		{Name: "totals", Kind: state.Map, MapKey: []record.Field{{Name: "dest", Type: record.UTF8, Nullable: true}, {Name: "hour", Type: record.I16}},
			Value: []record.Field{{Name: "sum", Type: record.I64}, {Name: "note", Type: record.UTF8, Nullable: true}}},
		{Name: "orders", Kind: state.List, Value: []record.Field{{Name: "paid", Type: record.DecimalOf(12, 2), Nullable: true},
			{Name: "tags", Type: record.ListOf(record.UTF8), Nullable: true}, {Name: "bits", Type: record.ListOf(record.Bool)}}},
		{Name: "byPrice", Kind: state.Map, MapKey: []record.Field{{Name: "price", Type: record.DecimalOf(38, 4), Nullable: true}},
			Value: []record.Field{{Name: "prices", Type: record.ListOf(record.DecimalOf(38, 4)), Nullable: true}}},
		{Name: "byRank", Kind: state.Map, MapKey: []record.Field{{Name: "rank", Type: record.F32}}, Value: []record.Field{{Name: "n", Type: record.I32}}},
	}

	timerNames = []state.TimerDecl{
		{Name: "close"}, {Name: "remind", Many: true}, {Name: "flush", DropPast: true}, {Name: "retry", Many: true, DropPast: true}}
)

// program is one random run.
type program struct {
	t    *testing.T
	r    *rand.Rand
	open Opener
	o    state.Options
	// states is the states declared, whose TTLs change with each restore where the program is one of expiry.
	states  []state.Decl
	expires bool
	now     int64 // us
	model   *Model
	parts   []*part
	pool    *record.Batch // the keys that the program uses
	keys    []string      // their encodings
	// reached is the time up to which timers have fired, by domain.
	reached [2]int64

	chain   []*checkpoint // since and with the last base
	pending *checkpoint
	lost    bool // the last checkpoint was not written: the next must be a base
	trace   []string
}

// part is one subtask.
type part struct {
	b      state.Backend
	groups [2]int
	keys   record.KeySet
	rows   []int32 // of the pool, by key of keys
}

// checkpoint is what one barrier fixed.
type checkpoint struct {
	base     bool
	now      int64
	model    *Model
	reached  [2]int64
	segments []*Segment
	frozen   []state.Frozen
	done     chan error // nil until a goroutine writes
}

func newProgram(t *testing.T, open Opener, o state.Options, seed uint64, keys int, expires bool) *program {
	p := &program{t: t, r: rand.New(rand.NewPCG(seed, 1)), open: open, o: o, expires: expires, now: 1_700_000_000_000_000}
	p.o.KeyFields = keyFields
	p.pool = record.NewBatch(&record.Schema{Fields: keyFields}, keys)
	for i := range keys {
		p.pool.Columns[0].AppendString(fmt.Sprintf("user\x00%d", i*i%977))
		if i%5 == 0 {
			p.pool.Columns[1].AppendNull()
		} else {
			p.pool.Columns[1].AppendInt(int64(i - keys/2))
		}
		p.keys = append(p.keys, string(record.AppendKey(nil, p.pool.Columns, []int{0, 1}, i)))
	}
	p.pool.Rows = keys
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("seed %d; last commands: %v", seed, p.trace[max(0, len(p.trace)-12):])
		}
	})
	p.restore()
	return p
}

func (p *program) must(err error) {
	p.t.Helper()
	if err != nil {
		p.t.Fatal(err)
	}
}

// restore starts anew from the last checkpoint, under another split of the key groups.
func (p *program) restore() {
	p.finish(false)
	for _, part := range p.parts {
		p.must(part.b.Close())
	}
	parallelism := 1 + p.r.IntN(3)
	p.parts = nil
	p.states = slices.Clone(states)
	for i := range p.states {
		if p.expires {
			p.states[i].TTL = []int64{0, 1000, 4000, 20_000}[p.r.IntN(4)]
		}
	}
	p.model, p.reached = NewModel(p.states, timerNames), [2]int64{}
	if n := len(p.chain); n > 0 {
		c := p.chain[n-1]
		p.model, p.reached, p.now = c.model.Clone(), c.reached, c.now+int64(p.r.IntN(3))*1000
		p.model.States = p.states
	}
	p.model.Now = p.now
	for i := range parallelism {
		first, end := record.GroupRange(i, parallelism, maxParallelism)
		part := &part{b: p.open(p.t, p.o), groups: [2]int{first, end}}
		for _, c := range p.chain {
			for _, s := range c.segments {
				p.must(part.b.Restore(s.Reader(), part.groups, maxParallelism))
			}
		}
		p.must(part.b.Declare(p.states, timerNames))
		part.b.SetNow(p.now)
		p.parts = append(p.parts, part)
	}
	p.lost = false
	p.verify()
}

// freeze takes a checkpoint and leaves it to be written: now, in the background, later, or not at all.
func (p *program) freeze() {
	p.finish(true)
	c := &checkpoint{base: p.lost || p.r.IntN(5) == 0, now: p.now, model: p.model.Clone(), reached: p.reached}
	for _, part := range p.parts {
		f, err := part.b.Freeze(c.base)
		p.must(err)
		c.frozen = append(c.frozen, f)
		c.segments = append(c.segments, &Segment{})
	}
	p.pending = c
	if p.r.IntN(2) == 0 {
		c.done = make(chan error, 1)
		go func() { c.done <- c.write() }()
	}
}

func (c *checkpoint) write() error {
	for i, f := range c.frozen {
		if err := f.Write(c.segments[i]); err != nil {
			return err
		}
		if err := f.Close(); err != nil {
			return err
		}
		for _, e := range c.segments[i].entries {
			if at, ends := state.Expiry(e.Value); c.base && ends && at <= c.now {
				return fmt.Errorf("a base of time %d has an entry of state %s that expired at %d", c.now, e.Space.Name, at)
			}
		}
	}
	return nil
}

// finish ends the checkpoint under way: mostly it is written, sometimes abandoned, always where must is not set.
func (p *program) finish(must bool) {
	c := p.pending
	p.pending = nil
	switch {
	case c == nil:
		return
	case c.done != nil:
		p.must(<-c.done)
	case !must || p.r.IntN(6) == 0:
		for _, f := range c.frozen {
			p.must(f.Close())
		}
		p.lost = true
		return
	default:
		p.must(c.write())
	}
	if c.base {
		p.chain = nil
	}
	p.chain = append(p.chain, c)
	p.lost = false
}

// pick fills each part's key set with some of its keys.
func (p *program) pick() {
	n := 1 + p.r.IntN(min(2*len(p.keys), 300))
	for _, part := range p.parts {
		part.keys.Reset(n)
		part.rows = part.rows[:0]
	}
	hot := p.r.IntN(2) == 0
	for range n {
		i := p.r.IntN(len(p.keys))
		if hot {
			i = p.r.IntN(1 + i)
		}
		key := []byte(p.keys[i])
		group := record.KeyGroup(record.HashKey(key), maxParallelism)
		for _, part := range p.parts {
			if group >= part.groups[0] && group < part.groups[1] {
				if k := part.keys.Add(key, int32(i)); int(k) == len(part.rows) {
					part.rows = append(part.rows, int32(i))
				}
			}
		}
	}
}

// step runs one random command.
func (p *program) step() {
	commands := []struct {
		weight int
		name   string
		run    func()
	}{
		{30, "change", p.change}, {20, "load", p.load}, {20, "timers", p.changeTimers}, {10, "advance", p.advance},
		{10, "read", p.read}, {10, "freeze", p.freeze}, {1, "restore", p.restore}, {1, "verify", p.verify},
	}
	if p.expires {
		commands = append(commands, struct {
			weight int
			name   string
			run    func()
		}{30, "wait", p.wait})
	}
	n := 0
	for _, c := range commands {
		n += c.weight
	}
	n = p.r.IntN(n)
	for _, c := range commands {
		if n -= c.weight; n < 0 {
			p.trace = append(p.trace, c.name)
			p.pick()
			c.run()
			return
		}
	}
}

// wait moves processing time: often to the very microsecond at which something expires.
func (p *program) wait() {
	p.now += []int64{1, 999, 1000, 1000, 1000, 3000, 9000}[p.r.IntN(7)]
	if p.r.IntN(3) > 0 {
		p.now = (p.now + 999) / 1000 * 1000
	}
	p.model.Now = p.now
	for _, part := range p.parts {
		part.b.SetNow(p.now)
	}
}

// value appends a random value of a field.
func (p *program) value(c *record.Column, f record.Field) {
	switch {
	case f.Nullable && p.r.IntN(4) == 0:
		c.AppendNull()
	case f.Type.Kind() == record.List:
		for range p.r.IntN(4) {
			p.value(c.Elements, record.Field{Type: f.Type.Element()})
		}
		c.EndList()
	case f.Type.Kind() == record.Decimal128:
		n := int64(p.r.IntN(400) - 200)
		c.AppendDecimal(record.Decimal{High: n >> 63, Low: uint64(n)})
	case f.Type.HasOffsets():
		n := p.r.IntN(20)
		if p.r.IntN(50) == 0 {
			n = p.r.IntN(3000)
		}
		b := make([]byte, n)
		for i := range b {
			b[i] = byte(p.r.IntN(3)) * 40 // with zeros
		}
		c.AppendBytes(b)
	case f.Type == record.F32 || f.Type == record.F64:
		c.AppendFloat(float64(p.r.IntN(200)-100) / 4)
	case f.Type == record.Bool:
		c.AppendInt(int64(p.r.IntN(2)))
	case f.Type == record.I8:
		c.AppendInt(int64(p.r.IntN(256) - 128))
	default:
		c.AppendInt(int64(p.r.IntN(400) - 200))
	}
}

func columnsOf(d state.Decl) ([]record.Column, []int) {
	var columns []record.Column
	var mapKey []int
	if d.Kind == state.Map {
		for i, f := range d.MapKey {
			columns = append(columns, record.NewColumn(f.Type, 16))
			mapKey = append(mapKey, i)
		}
	}
	for _, f := range d.Value {
		columns = append(columns, record.NewColumn(f.Type, 16))
	}
	return columns, mapKey
}

var operations = map[state.Kind][]uint8{
	state.Value: {state.OpSet, state.OpSet, state.OpSet, state.OpClear},
	state.List:  {state.OpAppend, state.OpAppend, state.OpAppend, state.OpAppend, state.OpAppend, state.OpAppend, state.OpClear},
	state.Map: {state.OpSet, state.OpSet, state.OpSet, state.OpSet, state.OpSet, state.OpSet, state.OpSet, state.OpSet,
		state.OpSet, state.OpSet, state.OpSet, state.OpSet, state.OpClear, state.OpClear, state.OpClear, state.OpClearAll},
}

// change makes random changes to one state.
func (p *program) change() {
	s := p.r.IntN(len(states))
	d := states[s]
	fields := slices.Concat(d.MapKey, d.Value)
	for _, part := range p.parts {
		if part.keys.N == 0 {
			continue
		}
		c := &state.Changes{}
		var mapKey []int
		c.Columns, mapKey = columnsOf(d)
		for range 1 + p.r.IntN(300) {
			k := p.r.IntN(part.keys.N)
			op := operations[d.Kind][p.r.IntN(len(operations[d.Kind]))]
			if op == state.OpClearAll && p.r.IntN(4) > 0 {
				op = state.OpSet
			}
			for i, f := range fields {
				p.value(&c.Columns[i], f)
			}
			i := len(c.Key)
			c.Key, c.Op = append(c.Key, uint32(k)), append(c.Op, op)
			p.model.Change(s, string(part.keys.Key(k)), op, string(record.AppendKey(nil, c.Columns, mapKey, i)), RowOf(c.Columns[len(mapKey):], i))
		}
		p.must(part.b.Apply(s, &part.keys, c))
	}
}

// load compares the cells of all keys picked, of all states.
func (p *program) load() {
	var cells state.Cells
	for s, d := range states {
		limit := []int{0, 30, 300, 1 << 20}[p.r.IntN(4)]
		cells = state.Cells{}
		for _, part := range p.parts {
			p.must(part.b.Load(s, &part.keys, limit, &cells))
			if len(cells.Status) != part.keys.N {
				p.t.Fatalf("state %s: %d statuses for %d keys", d.Name, len(cells.Status), part.keys.N)
			}
			for k := range part.keys.N {
				p.checkCell(part, s, k, limit, &cells)
			}
		}
	}
}

func (p *program) checkCell(part *part, s, k, limit int, cells *state.Cells) {
	p.t.Helper()
	key := string(part.keys.Key(k))
	want := p.model.Cell(s, key)
	d := states[s]
	var got []Row
	switch cells.Status[k] {
	case state.Ask:
		if limit == 1<<20 {
			p.t.Fatalf("state %s key %q is asked for over a limit that it cannot reach", d.Name, key)
		}
		got = p.ask(part, s, k)
	case state.Inline:
		if limit == 0 {
			p.t.Fatalf("state %s key %q is inline over a limit of 0", d.Name, key)
		}
		from, to := k, k+1
		if d.Kind != state.Value {
			from, to = int(cells.Start[k]), int(cells.Start[k+1])
		}
		for i := from; i < to; i++ {
			got = append(got, RowOf(cells.Columns[len(d.MapKey):], i))
		}
		p.checkMapKeys(s, key, cells.Columns, from, to)
	default:
		if d.Kind == state.Value && !cells.Columns[0].Null(k) {
			p.t.Fatalf("state %s key %q is absent and has a row", d.Name, key)
		}
	}
	if !slices.Equal(got, want) {
		p.t.Fatalf("state %s key %q (status %d, limit %d) is\n%q, the model has\n%q", d.Name, key, cells.Status[k], limit, got, want)
	}
}

func (p *program) checkMapKeys(s int, key string, columns []record.Column, from, to int) {
	p.t.Helper()
	if states[s].Kind != state.Map {
		return
	}
	_, mapKey := columnsOf(states[s])
	var got []string
	for i := from; i < to; i++ {
		got = append(got, string(record.AppendKey(nil, columns, mapKey, i)))
	}
	if want := p.model.Scan(s, key, nil, nil, false); !slices.Equal(got, want) {
		p.t.Fatalf("state %s key %q has map keys\n%q, the model\n%q", states[s].Name, key, got, want)
	}
}

// ask reads a whole cell by Get or Scan.
func (p *program) ask(part *part, s, k int) []Row {
	d := states[s]
	columns, mapKey := columnsOf(d)
	if d.Kind == state.Map {
		scan, err := part.b.Scan(s, part.keys.Hash[k], part.keys.Key(k), nil, nil, false)
		p.must(err)
		for {
			n, err := scan.Next(columns, 1+p.r.IntN(50))
			p.must(err)
			if n == 0 {
				break
			}
		}
		p.checkMapKeys(s, string(part.keys.Key(k)), columns, 0, columns[0].Len)
	} else {
		found, err := part.b.Get(s, part.keys.Hash[k], part.keys.Key(k), nil, columns)
		p.must(err)
		if found != (columns[0].Len > 0) {
			p.t.Fatalf("state %s: found is %v and %d rows were read", d.Name, found, columns[0].Len)
		}
	}
	var rows []Row
	for i := range columns[0].Len {
		rows = append(rows, RowOf(columns[len(mapKey):], i))
	}
	return rows
}

// read compares single cells and entries, and scans with bounds.
func (p *program) read() {
	for _, part := range p.parts {
		for k := range min(part.keys.N, 10) {
			key := string(part.keys.Key(k))
			for s, d := range states {
				if d.Kind != state.Map {
					if got, want := p.ask(part, s, k), p.model.Cell(s, key); !slices.Equal(got, want) {
						p.t.Fatalf("state %s key %q is\n%q, the model has\n%q", d.Name, key, got, want)
					}
					continue
				}
				p.readEntry(part, s, k)
				p.readRange(part, s, k)
			}
		}
	}
}

// mapKey makes a random encoded map key, mostly of an entry that is there.
func (p *program) mapKey(s int, key string) []byte {
	if there := p.model.everMapKeys(s, key); len(there) > 0 && p.r.IntN(3) > 0 {
		return []byte(there[p.r.IntN(len(there))])
	}
	columns, mapKey := columnsOf(states[s])
	for i, f := range states[s].MapKey {
		p.value(&columns[i], f)
	}
	return record.AppendKey(nil, columns, mapKey, 0)
}

func (p *program) readEntry(part *part, s, k int) {
	key := string(part.keys.Key(k))
	mapKey := p.mapKey(s, key)
	columns, keys := columnsOf(states[s])
	columns = columns[len(keys):]
	found, err := part.b.Get(s, part.keys.Hash[k], part.keys.Key(k), mapKey, columns)
	p.must(err)
	want, ok := p.model.Entry(s, key, string(mapKey))
	if found != ok || found && RowOf(columns, 0) != want {
		p.t.Fatalf("state %s key %q entry %q: found %v, the model has %q", states[s].Name, key, mapKey, found, want)
	}
}

func (p *program) readRange(part *part, s, k int) {
	key := string(part.keys.Key(k))
	var low, high []byte
	if p.r.IntN(3) > 0 {
		low = p.mapKey(s, key)
	}
	if p.r.IntN(3) > 0 {
		high = p.mapKey(s, key)
	}
	descending := p.r.IntN(2) == 0
	scan, err := part.b.Scan(s, part.keys.Hash[k], part.keys.Key(k), low, high, descending)
	p.must(err)
	columns, mapKey := columnsOf(states[s])
	for {
		n, err := scan.Next(columns, 1+p.r.IntN(7))
		p.must(err)
		if n == 0 {
			break
		}
		p.readEntry(part, s, k) // reading in between must not disturb a scan
	}
	var got []string
	for i := range columns[0].Len {
		got = append(got, string(record.AppendKey(nil, columns, mapKey, i)))
		if want, _ := p.model.Entry(s, key, got[i]); RowOf(columns[len(mapKey):], i) != want {
			p.t.Fatalf("state %s key %q entry %q is %q, the model has %q", states[s].Name, key, got[i], RowOf(columns[len(mapKey):], i), want)
		}
	}
	if want := p.model.Scan(s, key, low, high, descending); !slices.Equal(got, want) {
		p.t.Fatalf("state %s key %q from %q to %q, descending %v:\n%q, the model has\n%q", states[s].Name, key, low, high, descending, got, want)
	}
}

// verify compares everything there is.
func (p *program) verify() {
	for _, part := range p.parts {
		part.keys.Reset(len(p.keys))
	}
	timers, cells := 0, 0
	for i, key := range p.keys {
		group := record.KeyGroup(record.HashKey([]byte(key)), maxParallelism)
		for _, part := range p.parts {
			if group >= part.groups[0] && group < part.groups[1] {
				part.keys.Add([]byte(key), int32(i))
			}
		}
	}
	for _, part := range p.parts {
		for s := range states {
			var c state.Cells
			p.must(part.b.Load(s, &part.keys, 1<<20, &c))
			for k := range part.keys.N {
				p.checkCell(part, s, k, 1<<20, &c)
			}
		}
		stats := part.b.Stats()
		timers += int(stats.Timers)
		if cells += int(stats.Cells); stats.Cells < 0 {
			cells = p.model.Cells()
		}
	}
	if timers != p.model.Timers() || cells < p.model.Cells() || cells > p.model.Cells() && !p.expires {
		p.t.Fatalf("%d timers and %d cells, the model has %d and %d", timers, cells, p.model.Timers(), p.model.Cells())
	}
}
