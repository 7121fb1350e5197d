package operatortest_test

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/tidemill/tidemill/sdk-go/operator"
	"github.com/tidemill/tidemill/sdk-go/operatortest"
	"github.com/tidemill/tidemill/sdk-go/state"
)

// The operator "program" runs one command a row on states and timers of every kind, and writes down what it reads. The test runs
// random programs and compares all that it writes down, key by key, and all that it keeps, with a model that knows nothing of
// frames: Go maps, one command after another.

type command struct {
	Key  string
	Op   string
	N    int64
	Text string
	At   operator.Timestamp `tm:",event_time"`
}

type note struct {
	Key  operator.FromKey
	Text string
}

type noted struct {
	Key, Text string
	At        operator.Timestamp `tm:",event_time"`
}

type cell struct {
	N     int64
	Text  string
	Bytes []byte
	Maybe operator.Null[int32]
	Price operator.Null[operator.Decimal] `tm:"price,decimal(9,3)"`
	Tags  []string
	Sums  operator.Null[[]operator.Decimal] `tm:"sums,decimal(9,3)"`
}

type part struct {
	Cost operator.Decimal `tm:"cost,decimal(6,2)"`
	N    int16
	Text string
}

type program struct {
	operator.Base
	In     operator.In[command]
	Notes  operator.Out[note]
	Others operator.Out[struct {
		operator.FromInput
		Copy []byte
	}]
	Cell  state.Value[cell]
	Count state.Value[int64] `tm:"count,prefetch=none"`
	List  state.List[cell]
	Names state.List[string] `tm:"names,prefetch"`
	Map   state.Map[part, cell]
	Small state.Map[int64, string]                        `tm:"small,prefetch=in late"`
	Brief state.Value[cell]                               `tm:"brief,ttl=1ms"`
	Fade  state.List[[]int32]                             `tm:"fade,ttl=2ms"`
	Mist  state.Map[operator.Decimal, []operator.Decimal] `tm:"mist,ttl=1ms,decimal(5,1),prefetch=in"`
	Early operator.Timer
	Late  operator.Timer `tm:"late,many"`
	Once  operator.Timer `tm:"once,drop"`
	Clock operator.Timer `tm:"clock,processing,many"`
	Notch operator.Counter
	Level operator.Gauge
}

func init() { operator.Register[program]("program", "runs one command a row") }

func (p *program) Open() error {
	p.In.OnRow(p.onRow)
	for name, t := range map[string]*operator.Timer{"early": &p.Early, "late": &p.Late, "once": &p.Once, "clock": &p.Clock} {
		t.OnFire(func(f operator.Fired) error { return p.onTimer(name, f) })
	}
	return nil
}

func (p *program) note(format string, args ...any) {
	p.Notes.Emit(note{Text: fmt.Sprintf(format, args...)})
}

func cellOf(n int64, text string) cell {
	c := cell{N: n, Text: text, Bytes: []byte(text + "!"), Tags: slices.Repeat([]string{text}, int(n&3))}
	if n%3 != 0 {
		c.Maybe = operator.Some(int32(n))
		c.Price = operator.Some(operator.NewDecimal(n, int(n&1)+1)) // of another scale than its column
	}
	if n%5 != 0 {
		c.Sums = operator.Some([]operator.Decimal{c.Price.Value, operator.NewDecimal(n, 0)})
	}
	return c
}

var half = operator.NewDecimal(5, 1)

func add(a, b operator.Decimal) operator.Decimal {
	sum, err := a.Add(b)
	if err != nil {
		panic(err)
	}
	return sum
}

func partOf(n int16, text string) part { return part{operator.NewDecimal(int64(n%3), 0), n, text} }

func tenth(n int64) operator.Decimal { return operator.NewDecimal(n%4*10, 2) }

func (p *program) onRow(c *command) error {
	p.Notch.Add(1)
	key := partOf(int16(c.N), c.Text)
	switch c.Op {
	case "set":
		value := cellOf(c.N, c.Text)
		p.Cell.Set(value)
		value.Bytes[0] = '?' // what was written is a copy
		if len(value.Tags) > 0 {
			value.Tags[0] = "?"
		}
		if value.Sums.Valid {
			value.Sums.Value[0] = half
		}
	case "edit":
		e := p.Cell.Edit()
		e.N += c.N
		e.Text += c.Text
		e.Price = operator.Some(add(e.Price.Value, half))
		e.Tags = append(e.Tags, c.Text)
		e.Sums = operator.Some(append(e.Sums.Value, half))
		*p.Count.Edit() += c.N
	case "fresh":
		p.Brief.Set(cellOf(c.N, c.Text))
		p.Fade.Append([]int32{int32(c.N), 7})
		p.Mist.Set(tenth(c.N), []operator.Decimal{operator.NewDecimal(c.N, 0)})
	case "renew":
		p.Brief.Edit().N++
		list := p.Mist.Edit(tenth(c.N))
		*list = append(*list, half)
	case "seen":
		p.note("%v %v %d %s", p.Brief.Has(), p.Brief.Get(), p.Fade.Len(), p.seen(tenth(c.N)))
	case "clear":
		p.Cell.Clear()
		p.Count.Clear()
	case "get":
		p.note("%v %v %v %v", p.Cell.Has(), p.Cell.Get(), p.Count.Has(), p.Count.Get())
	case "append":
		p.List.Append(cellOf(c.N, c.Text))
		p.Names.Append(c.Text)
	case "list":
		for i, v := range p.List.All() {
			p.List.Append(v) // is not seen by this loop
			if i == 2 {
				break
			}
		}
		var all []string
		for i, v := range p.List.All() {
			all = append(all, fmt.Sprint(i, v))
		}
		for _, name := range p.Names.All() {
			all = append(all, name)
		}
		p.note("%d %d %s", p.List.Len(), p.Names.Len(), strings.Join(all, ","))
	case "drop":
		p.List.Clear()
		if c.N%2 == 0 {
			p.Names.Clear()
		}
	case "put":
		p.Map.Set(key, cellOf(c.N, c.Text))
		p.Small.Set(c.N, c.Text)
	case "delete":
		p.Map.Delete(key)
		p.Small.Delete(c.N)
	case "look":
		v, ok := p.Map.Get(key)
		small, found := p.Small.Get(c.N)
		p.note("%v %v %v %v", v, ok, small, found)
	case "wipe":
		p.Map.Clear()
		if c.N%2 == 0 {
			p.Small.Clear()
		}
	case "scan":
		p.note("%s", p.scan(c.N))
	case "early":
		p.Early.SetTag(operator.Timestamp(c.N), c.Text)
	case "late":
		p.Late.Set(operator.Timestamp(c.N))
	case "once":
		p.Once.Set(operator.Timestamp(c.N))
	case "clock":
		p.Clock.SetTag(operator.Timestamp(c.N), c.Text)
	case "cancel":
		p.Early.DeleteTag(c.Text)
		p.Late.DeleteAt(operator.Timestamp(c.N), "")
		if c.N%4 == 0 {
			p.Clock.DeleteTag(c.Text)
			p.Once.Delete()
		}
	case "pass":
		p.Others.Emit(struct {
			operator.FromInput
			Copy []byte
		}{Copy: []byte(c.Text)})
		p.Level.Set(float64(c.N))
	case "fail":
		p.note("nothing of this takes effect")
		p.Cell.Set(cell{Text: "nor of this"})
		p.Map.Clear()
		p.scan(0)
		p.List.Append(cell{})
		p.Early.Set(0)
		return errors.New("refused: " + c.Text)
	case "panic":
		p.Map.Set(key, cell{})
		p.Cell.Edit().N = 1 / (c.N - c.N)
	}
	return nil
}

// seen is what has not expired.
func (p *program) seen(key operator.Decimal) string {
	list, found := p.Mist.Get(key)
	all := []string{fmt.Sprint(list, found)}
	for _, v := range p.Fade.All() {
		all = append(all, fmt.Sprint(v))
	}
	for k, v := range p.Mist.Range(operator.NewDecimal(-10, 2), operator.NewDecimal(1, 0)) {
		all = append(all, fmt.Sprint(k.String(), v))
	}
	return strings.Join(all, ",")
}

// scan loops over both maps, changes them inside the loop, and looks into one loop from another.
func (p *program) scan(n int64) string {
	var all []string
	for k, v := range p.Map.All() {
		inner := 0
		for range p.Map.Range(k, partOf(k.N+2, "")) {
			inner++
		}
		p.Map.Set(part{k.Cost, k.N, k.Text + "'"}, v) // is not seen by the outer loop
		if k.N%4 == 0 {
			p.Map.Delete(k)
		}
		all = append(all, fmt.Sprint(k, v, inner))
	}
	for k, v := range p.Small.Backward() {
		all = append(all, fmt.Sprint(k, v))
		if k == n {
			break
		}
	}
	return strings.Join(all, ",")
}

func (p *program) onTimer(name string, f operator.Fired) error {
	p.note("%s %d %s, watermark %d", name, f.Time, f.Tag, p.Watermark())
	n := *p.Count.Edit()
	p.Count.Set(n + 1)
	if v, ok := p.Small.Get(int64(f.Time)); ok {
		p.note("small %s", v)
	}
	switch {
	case name == "early" && n%3 == 0:
		p.Late.Set(f.Time + 1) // often due in the same advance
	case name == "late" && n%5 == 0:
		p.Early.DeleteTag("b")
	case name == "late" && n%7 == 0:
		return errors.New("a timer is refused")
	}
	return nil
}

// model is the operator and its host in the plainest form.
type model struct {
	keys           map[string]*modelKey
	watermark, now int64
	notes          []noted
	passed         []command
	errors         []string
	rows           int
	level          int64
}

type modelKey struct {
	cell   *cell
	count  *int64
	list   []cell
	names  []string
	m      map[part]cell
	small  map[int64]string
	brief  *timed[cell]
	fade   []timed[[]int32]
	mist   map[string]timed[[]operator.Decimal] // by the text of the key
	timers []modelTimer
}

// timed is what expires.
type timed[T any] struct {
	value T
	at    int64
}

func fresh[T any](t timed[T], now, ms int64) bool { return now < t.at+ms*1000 }

// stored is a cell as it is when it is read.
func stored(c cell) cell {
	c.Price.Value = rescaled(c.Price, 3)
	for i, d := range c.Sums.Value {
		c.Sums.Value[i] = rescaled(operator.Some(d), 3)
	}
	return c
}

func rescaled(d operator.Null[operator.Decimal], scale int) operator.Decimal {
	if !d.Valid {
		return operator.Decimal{}
	}
	rounded, err := d.Value.Round(scale)
	if err != nil {
		panic(err)
	}
	return rounded
}

type modelTimer struct {
	name int
	time int64
	tag  string
}

var timerNames = []string{"early", "late", "once", "clock"}

func (m *model) key(name string) *modelKey {
	if m.keys[name] == nil {
		m.keys[name] = &modelKey{m: map[part]cell{}, small: map[int64]string{}, mist: map[string]timed[[]operator.Decimal]{}}
	}
	return m.keys[name]
}

func (m *model) note(c command, format string, args ...any) {
	m.notes = append(m.notes, noted{c.Key, fmt.Sprintf(format, args...), c.At})
}

func orZero[T any](p *T) (v T) {
	if p != nil {
		v = *p
	}
	return v
}

func (m *model) row(c command) {
	k, key := m.key(c.Key), partOf(int16(c.N), c.Text)
	key.Cost = rescaled(operator.Some(key.Cost), 2)
	m.expire(k)
	m.rows++
	switch c.Op {
	case "set":
		v := stored(cellOf(c.N, c.Text))
		k.cell = &v
	case "edit":
		v := orZero(k.cell)
		v.N, v.Text = v.N+c.N, v.Text+c.Text
		v.Price, v.Tags = operator.Some(add(v.Price.Value, half)), append(slices.Clone(v.Tags), c.Text)
		v.Sums = operator.Some(append(slices.Clone(v.Sums.Value), half))
		v = stored(v)
		k.cell = &v
		n := orZero(k.count) + c.N
		k.count = &n
	case "clear":
		k.cell, k.count = nil, nil
	case "get":
		m.note(c, "%v %v %v %v", k.cell != nil, orZero(k.cell), k.count != nil, orZero(k.count))
	case "append":
		k.list, k.names = append(k.list, stored(cellOf(c.N, c.Text))), append(k.names, c.Text)
	case "list":
		k.list = append(k.list, k.list[:min(3, len(k.list))]...)
		var all []string
		for i, v := range k.list {
			all = append(all, fmt.Sprint(i, v))
		}
		m.note(c, "%d %d %s", len(k.list), len(k.names), strings.Join(append(all, k.names...), ","))
	case "drop":
		k.list = nil
		if c.N%2 == 0 {
			k.names = nil
		}
	case "put":
		k.m[key], k.small[c.N] = stored(cellOf(c.N, c.Text)), c.Text
	case "fresh", "renew", "seen":
		m.brief(k, c)
	case "delete":
		delete(k.m, key)
		delete(k.small, c.N)
	case "look":
		v, ok := k.m[key]
		small, found := k.small[c.N]
		m.note(c, "%v %v %v %v", v, ok, small, found)
	case "wipe":
		clear(k.m)
		if c.N%2 == 0 {
			clear(k.small)
		}
	case "scan":
		m.note(c, "%s", k.scan(c.N))
	case "early", "late", "once", "clock":
		m.set(k, modelTimer{slices.Index(timerNames, c.Op), c.N, map[bool]string{true: c.Text}[c.Op == "early" || c.Op == "clock"]})
	case "cancel":
		k.timers = slices.DeleteFunc(k.timers, func(t modelTimer) bool {
			return t.name == 0 && t.tag == c.Text || t == modelTimer{1, c.N, ""} ||
				c.N%4 == 0 && (t.name == 3 && t.tag == c.Text || t.name == 2)
		})
	case "pass":
		m.passed = append(m.passed, c)
		m.level = c.N
	case "fail":
		m.rows--
		m.errors = append(m.errors, "refused: "+c.Text)
	case "panic":
		m.rows--
		m.errors = append(m.errors, "runtime error: integer divide by zero")
	}
}

// expire drops what is older than its time to live.
func (m *model) expire(k *modelKey) {
	if k.brief != nil && !fresh(*k.brief, m.now, 1) {
		k.brief = nil
	}
	k.fade = slices.DeleteFunc(k.fade, func(t timed[[]int32]) bool { return !fresh(t, m.now, 2) })
	maps.DeleteFunc(k.mist, func(_ string, t timed[[]operator.Decimal]) bool { return !fresh(t, m.now, 1) })
}

func (m *model) brief(k *modelKey, c command) {
	key := rescaled(operator.Some(tenth(c.N)), 1).String()
	switch c.Op {
	case "fresh":
		k.brief = &timed[cell]{stored(cellOf(c.N, c.Text)), m.now}
		k.fade = append(k.fade, timed[[]int32]{[]int32{int32(c.N), 7}, m.now})
		k.mist[key] = timed[[]operator.Decimal]{[]operator.Decimal{operator.NewDecimal(c.N*10, 1)}, m.now}
	case "renew":
		v := orZero(k.brief).value
		v.N++
		k.brief = &timed[cell]{v, m.now}
		k.mist[key] = timed[[]operator.Decimal]{append(slices.Clone(k.mist[key].value), half), m.now}
	case "seen":
		at, found := k.mist[key]
		all := []string{fmt.Sprint(at.value, found)}
		for _, t := range k.fade {
			all = append(all, fmt.Sprint(t.value))
		}
		for _, key := range slices.Sorted(maps.Keys(k.mist)) {
			if key != "-0.2" && key != "-0.3" { // below the range
				all = append(all, fmt.Sprint(key, k.mist[key].value))
			}
		}
		m.note(c, "%v %v %d %s", k.brief != nil, orZero(k.brief).value, len(k.fade), strings.Join(all, ","))
	}
}

func comparePart(a, b part) int {
	return cmp.Or(a.Cost.Cmp(b.Cost), cmp.Compare(a.N, b.N), cmp.Compare(a.Text, b.Text))
}

func (k *modelKey) scan(n int64) string {
	var all []string
	before := maps.Clone(k.m)
	for _, key := range slices.SortedFunc(maps.Keys(before), comparePart) {
		inner := 0
		for other := range k.m {
			if comparePart(other, key) >= 0 && comparePart(other, partOf(key.N+2, "")) < 0 {
				inner++
			}
		}
		k.m[part{key.Cost, key.N, key.Text + "'"}] = before[key]
		if key.N%4 == 0 {
			delete(k.m, key)
		}
		all = append(all, fmt.Sprint(key, before[key], inner))
	}
	small := slices.Sorted(maps.Keys(k.small))
	slices.Reverse(small)
	for _, key := range small {
		all = append(all, fmt.Sprint(key, k.small[key]))
		if key == n {
			break
		}
	}
	return strings.Join(all, ",")
}

func (m *model) set(k *modelKey, t modelTimer) {
	k.timers = slices.DeleteFunc(k.timers, func(old modelTimer) bool {
		many := t.name == 1 || t.name == 3
		return old.name == t.name && old.tag == t.tag && (!many || old.time == t.time)
	})
	if t.name != 2 || t.time > m.watermark {
		k.timers = append(k.timers, t)
	}
}

// fire fires what is due of one key, one after another.
func (m *model) fire(processing bool, reached int64) {
	for name, k := range m.keys {
		for {
			slices.SortFunc(k.timers, func(a, b modelTimer) int {
				return cmp.Or(cmp.Compare(a.time, b.time), cmp.Compare(a.name, b.name), cmp.Compare(a.tag, b.tag))
			})
			i := slices.IndexFunc(k.timers, func(t modelTimer) bool { return (t.name == 3) == processing && t.time <= reached })
			if i < 0 {
				break
			}
			t := k.timers[i]
			k.timers = slices.Delete(k.timers, i, i+1)
			m.timer(name, k, t)
		}
	}
}

func (m *model) timer(name string, k *modelKey, t modelTimer) {
	n := orZero(k.count)
	c := command{Key: name, At: operator.Timestamp(t.time)}
	if t.name == 1 && n%5 != 0 && n%7 == 0 {
		m.errors = append(m.errors, "a timer is refused")
		return
	}
	m.note(c, "%s %d %s, watermark %d", timerNames[t.name], t.time, t.tag, m.watermark)
	next := n + 1
	k.count = &next
	if v, ok := k.small[t.time]; ok {
		m.note(c, "small %s", v)
	}
	switch {
	case t.name == 0 && n%3 == 0:
		m.set(k, modelTimer{1, t.time + 1, ""})
	case t.name == 1 && n%5 == 0:
		k.timers = slices.DeleteFunc(k.timers, func(t modelTimer) bool { return t.name == 0 && t.tag == "b" })
	}
}

var ops = strings.Fields(`set edit edit clear get get append append append list drop put put put put delete look look wipe scan scan
	early early late late once once clock cancel pass pass fail panic fresh fresh fresh renew seen seen seen`)

func TestProgramsEqualTheModel(t *testing.T) {
	for seed := range uint64(40) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) { runProgram(t, seed) })
	}
}

func runProgram(t *testing.T, seed uint64) {
	r := rand.New(rand.NewPCG(seed, 1))
	h := operatortest.New(t, "program", operatortest.Config{
		Key: []string{"key"}, Shake: seed, FrameBytes: []int{0, 20 << 10, 64 << 10}[seed%3],
	})
	m := &model{keys: map[string]*modelKey{}, watermark: int64(operator.NoTime)}
	for range 20 {
		rows := make([]command, r.IntN(60))
		for i := range rows {
			rows[i] = command{
				Key: string(rune('A' + r.IntN(4))), Op: ops[r.IntN(len(ops))], N: r.Int64N(40) - 8,
				Text: strings.Repeat(string(rune('a'+r.IntN(3))), r.IntN(3)), At: operator.Timestamp(r.Int64N(100)),
			}
			m.row(rows[i])
		}
		operatortest.Send(h, "in", rows...)
		m.fire(true, m.now)
		switch r.IntN(3) {
		case 0:
			to := r.Int64N(60) - 20
			h.AdvanceWatermark(operator.Timestamp(to))
			if to > m.watermark {
				m.watermark = to
				m.fire(false, to)
			}
		case 1:
			m.now = max(m.now, r.Int64N(60))
			if r.IntN(2) == 0 {
				m.now += []int64{1, 500, 999, 1000, 2000}[r.IntN(5)]
			}
			h.AdvanceProcessingTime(operator.Timestamp(m.now))
			m.fire(true, m.now)
		}
	}
	m.watermark = int64(operator.EndOfTime)
	h.End()
	m.fire(false, m.watermark)
	compareWithModel(t, h, m)
}

func compareWithModel(t *testing.T, h *operatortest.Harness, m *model) {
	byKey := func(notes []noted) map[string][]noted {
		out := map[string][]noted{}
		for _, n := range notes {
			out[n.Key] = append(out[n.Key], n)
		}
		return out
	}
	got, want := byKey(operatortest.Rows[noted](h, "notes")), byKey(m.notes)
	for _, key := range slices.Sorted(maps.Keys(m.keys)) {
		m.expire(m.keys[key])
		for i, w := range want[key] {
			if i >= len(got[key]) || got[key][i] != w {
				t.Fatalf("key %s, note %d of %d and %d:\n got %.200v\nwant %+v", key, i, len(got[key]), len(want[key]), got[key][i:], w)
			}
		}
		if len(got[key]) > len(want[key]) {
			t.Fatalf("key %s: notes that are too many: %.200v", key, got[key][len(want[key]):])
		}
		compareState(t, h, key, m.keys[key])
	}
	passed := operatortest.Rows[struct {
		command
		Copy []byte
	}](h, "others")
	if len(passed) != len(m.passed) {
		t.Fatalf("%d rows passed through, want %d", len(passed), len(m.passed))
	}
	for i, p := range passed {
		if p.command != m.passed[i] || string(p.Copy) != m.passed[i].Text {
			t.Errorf("passed %+v, want %+v", p, m.passed[i])
		}
	}
	var messages []string
	for _, e := range h.Errors() {
		messages = append(messages, e.Message)
		if e.Panic != strings.Contains(e.Message, "divide") || e.Panic && !strings.Contains(e.Place, "model_test.go:") {
			t.Errorf("%+v", e)
		}
	}
	slices.Sort(messages)
	slices.Sort(m.errors)
	if !slices.Equal(messages, m.errors) {
		t.Errorf("errors %q\nwant %q", messages, m.errors)
	}
	if h.Metric("notch") != float64(m.rows) || h.Metric("level") != float64(m.level) {
		t.Errorf("counter %v, gauge %v, want %v, %v", h.Metric("notch"), h.Metric("level"), m.rows, m.level)
	}
}

func compareState(t *testing.T, h *operatortest.Harness, key string, want *modelKey) {
	same := func(what string, got, want any) {
		t.Helper()
		if fmt.Sprintf("%+v", got) != fmt.Sprintf("%+v", want) {
			t.Errorf("key %s, %s:\n got %+v\nwant %+v", key, what, got, want)
		}
	}
	c, has := operatortest.Value[cell](h, "brief", key)
	same("brief", []any{c, has}, []any{orZero(want.brief).value, want.brief != nil})
	same("fade", len(operatortest.List[[]int32](h, "fade", key)), len(want.fade))
	mist := map[string]timed[[]operator.Decimal]{}
	for k, v := range operatortest.Map[operator.Decimal, []operator.Decimal](h, "mist", key) {
		mist[k.String()] = timed[[]operator.Decimal]{v, want.mist[k.String()].at}
	}
	same("mist", mist, want.mist)
	c, has = operatortest.Value[cell](h, "cell", key)
	same("cell", []any{c, has}, []any{orZero(want.cell), want.cell != nil})
	n, has := operatortest.Value[int64](h, "count", key)
	same("count", []any{n, has}, []any{orZero(want.count), want.count != nil})
	same("list", operatortest.List[cell](h, "list", key), want.list)
	same("names", operatortest.List[string](h, "names", key), want.names)
	same("map", operatortest.Map[part, cell](h, "map", key), want.m)
	if got := operatortest.Map[int64, string](h, "small", key); !reflect.DeepEqual(got, want.small) {
		t.Errorf("key %s, small: got %v, want %v", key, got, want.small)
	}
	var timers []modelTimer
	for _, x := range h.Timers(key) {
		timers = append(timers, modelTimer{slices.Index(timerNames, x.Name), int64(x.Time), x.Tag})
	}
	slices.SortFunc(want.timers, func(a, b modelTimer) int {
		return cmp.Or(cmp.Compare(a.time, b.time), cmp.Compare(a.name, b.name), cmp.Compare(a.tag, b.tag))
	})
	same("timers", timers, want.timers)
}
