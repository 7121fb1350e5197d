package sandbox

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"

	"github.com/tidemill/tidemill/abi"
	"github.com/tidemill/tidemill/abi/frame"
	"github.com/tidemill/tidemill/abi/frame/frametest"
	"github.com/tidemill/tidemill/runtime/operator"
	"github.com/tidemill/tidemill/runtime/record"
	"github.com/tidemill/tidemill/runtime/sandbox/vm"
)

// The ledger is a program that uses all of the contract: for each row (k, n) it counts the rows of k (value state, prefetched),
// how often k saw n (map state, on demand with state_apply), appends n to a list, sets an event timer at n and emits; a timer
// emits the count and the sum of a scan of the map. A negative n is a row at fault, each number in its own way. ledgerModel says
// what must come out, without frames.

const (
	badError     = -1 // ERROR with its item
	badTrap      = -2 // trap, the item in the fault cell
	badUnknown   = -3 // trap without a word
	badFuel      = -4 // fuel used up, the item in the fault cell
	badAnswer    = -5 // an invalid answer
	badNoItem    = -6 // ERROR without item
	badExit      = -7 // exit with a message on standard error
	badKinds     = 7
	ledgerColumn = "n"
)

var ledgerDescriptor = abi.Descriptor{
	Inputs: []abi.BindInput{{Columns: []string{ledgerColumn}, EventTime: true, NeedsKey: true, Prefetch: []string{"count"}}},
	Outputs: []abi.BindOutput{
		{Name: "rows", Schema: []abi.Field{
			{Name: "k", Type: "utf8", Nullable: true}, {Name: "n", Type: "i64"}, {Name: "count", Type: "i64"}, {Name: "seen", Type: "i64"},
			{Name: "payload", Type: "utf8", Nullable: true},
		}},
		{Name: "fired", Schema: []abi.Field{
			{Name: "k", Type: "utf8", Nullable: true}, {Name: "count", Type: "i64"}, {Name: "sum", Type: "i64"}, {Name: "list", Type: "utf8"},
		}},
	},
	States: []abi.BindState{
		{Name: "count", Kind: "value", Value: []abi.Field{{Name: "v", Type: "i64"}}},
		{Name: "seen", Kind: "map", Key: []abi.Field{{Name: "n", Type: "i64"}}, Value: []abi.Field{{Name: "times", Type: "i64"}}},
		{Name: "list", Kind: "list", Value: []abi.Field{{Name: "n", Type: "i64"}}},
	},
	Timers:  []abi.BindTimer{{Name: "at", Mode: abi.TimerMany}},
	Metrics: []abi.BindMetric{{Name: "rows", Kind: abi.MetricCounter}},
}

func ledgerInputs(t *testing.T) []operator.Input {
	return []operator.Input{{Port: "in", Keys: []int{1}, Schema: schema(t,
		record.Field{Name: "payload", Type: record.UTF8, Nullable: true},
		record.Field{Name: "k", Type: record.UTF8, Nullable: true},
		record.Field{Name: ledgerColumn, Type: record.I64},
	)}}
}

type ledgerRow struct {
	k       any // string or nil
	n       int
	payload any
}

func ledgerBatch(s *record.Schema, rows []ledgerRow, at int) *record.Batch {
	var k, n, payload []any
	b := &record.Batch{Schema: s, Rows: len(rows), Runs: []record.Run{{Origin: &record.Origin{Source: "src", Split: "s1"}}}}
	for i, r := range rows {
		k, n, payload = append(k, r.k), append(n, r.n), append(payload, r.payload)
		b.EventTime = append(b.EventTime, int64(r.n))
		b.Pos = append(b.Pos, int64(at+i))
	}
	b.Columns = []record.Column{column(record.UTF8, payload...), column(record.UTF8, k...), column(record.I64, n...)}
	return b
}

// ledger answers frames. Consume, where not nil, says how many of a frame's items to take.
func ledger(consume func(items int) int) *program {
	p := &program{descriptor: ledgerDescriptor, entry: abi.Entry{Name: "op", Kind: abi.EntryOperator, Inputs: []abi.InputPort{{Name: "in"}}}}
	p.answer = func(c *fakeCall) {
		if c.in.Kind == abi.KindTimers {
			ledgerTimers(c)
			return
		}
		ledgerRows(c, consume)
	}
	return p
}

func ledgerRows(c *fakeCall, consume func(int) int) {
	in := c.in
	ns := frametest.Values(&in.Batch.Columns[0])
	items := len(ns)
	if consume != nil {
		items = consume(len(ns))
		c.Consumed = items
	}
	counts := frametest.Values(&in.States[0].Columns[0])
	var outN, outCount, outSeen []any
	changed := frametest.State{Kind: abi.StateValue, StateChanges: frame.StateChanges{State: 0}}
	var changedTo []any
	list := frametest.State{Kind: abi.StateList, StateChanges: frame.StateChanges{State: 2}}
	timers := &frame.TimerChanges{TagOffsets: []int32{0}}
	c.Timers = timers
	for i := range items {
		n, key := ns[i].(int), in.Keys.KeyOf[i]
		if n < 0 {
			ledgerFault(c, i, n)
			return
		}
		count := 1
		if counts[key] != nil {
			count += counts[key].(int)
		}
		counts[key] = count
		changed.Key, changed.Op = append(changed.Key, key), append(changed.Op, abi.OpSet)
		changedTo = append(changedTo, count)
		list.Key, list.Op = append(list.Key, key), append(list.Op, abi.OpAppend)
		timers.Key, timers.Name, timers.Domain = append(timers.Key, key), append(timers.Name, 0), append(timers.Domain, 0)
		timers.Op, timers.Time, timers.TagOffsets = append(timers.Op, abi.TimerSet), append(timers.Time, int64(n)), append(timers.TagOffsets, 0)
		outN, outCount, outSeen = append(outN, n), append(outCount, count), append(outSeen, ledgerSeen(c, key, n))
	}
	changed.Columns = []frame.Column{frametest.Column(abi.I64, changedTo...)}
	list.Columns = []frame.Column{frametest.Column(abi.I64, outN...)}
	c.States = []frametest.State{changed, list}
	c.Metrics = []frame.MetricUpdate{{Metric: 0, Value: uint64(items)}}
	c.Batches = []frame.OutputRows{{Rows: items, Identity: true, Columns: []frame.Column{
		frametest.Pass(abi.UTF8, abi.NodeKey, 0, items), frametest.Pass(abi.I64, abi.NodeInput, 2, items),
		frametest.Column(abi.I64, outCount...), frametest.Column(abi.I64, outSeen...), frametest.Pass(abi.UTF8, abi.NodeInput, 0, items),
	}}}
}

// ledgerSeen counts an entry of the map up through the host functions.
func ledgerSeen(c *fakeCall, key uint32, n int) int {
	mapKey := frametest.Block(1, []frame.Column{frametest.Column(abi.I64, n)})
	out := make([]byte, 256)
	times := 1
	size, err := c.host.StateGet(1, key, mapKey, out)
	if err != nil {
		panic(err)
	}
	if size >= 0 {
		columns, _, err := frame.DecodeBlock(out[:size], []abi.FieldType{{Name: "times", Type: abi.I64}}, 1, nil)
		if err != nil {
			panic(err)
		}
		times += frametest.Values(&columns[0])[0].(int)
	}
	a := frametest.Answer{Kind: c.in.Kind, Sequence: c.in.Sequence, States: []frametest.State{{
		Kind: abi.StateMap, StateChanges: frame.StateChanges{State: 1, Key: []uint32{key}, Op: []byte{abi.OpSet},
			Columns: []frame.Column{frametest.Column(abi.I64, n), frametest.Column(abi.I64, times)}},
	}}}
	if err := c.host.StateApply(a.Encode()); err != nil {
		panic(err)
	}
	return times
}

func ledgerFault(c *fakeCall, item, n int) {
	c.Timers = nil
	switch n {
	case badError:
		c.Failure = &frame.Failure{Code: abi.ErrorCodeUser, Item: item, Message: "bad row", Place: "ledger.go:1"}
	case badNoItem:
		c.Failure = &frame.Failure{Code: abi.ErrorCodeUser, Item: -1, Message: "bad row", Place: "ledger.go:2"}
	case badTrap:
		c.trap(item, "bad row", "ledger.go:3")
	case badUnknown:
		c.fault = &vm.Fault{Kind: vm.Trap, Detail: "out of bounds memory access", Frames: []string{"memcpy"}}
	case badFuel:
		c.fault = &vm.Fault{Kind: vm.Fuel}
		c.lastWords(item, "bad row", "ledger.go:4")
	case badAnswer:
		c.raw = []byte("TMF1 but nothing else that would make a frame of the contract.")
	case badExit:
		c.host.Write(2, []byte("panic: bad row\n\ngoroutine 1 [running]:\n"))
		c.fault = &vm.Fault{Kind: vm.Exit, Detail: "exit code 2"}
	}
}

func ledgerTimers(c *fakeCall) {
	in := c.in
	n := in.Timers.N()
	var count, sum, list []any
	for i := range n {
		key := in.Timers.Key[i]
		count = append(count, ledgerGet(c, 0, key)[0])
		total := 0
		for _, v := range ledgerScan(c, key) {
			total += v
		}
		sum = append(sum, total)
		list = append(list, fmt.Sprint(ledgerGet(c, 2, key)))
	}
	c.Batches = []frame.OutputRows{{Port: 1, Rows: n, Identity: true, Columns: []frame.Column{
		frametest.Pass(abi.UTF8, abi.NodeKey, 0, n), frametest.Column(abi.I64, count...), frametest.Column(abi.I64, sum...),
		frametest.Column(abi.UTF8, list...),
	}}}
}

func ledgerGet(c *fakeCall, id, key uint32) []any {
	out := make([]byte, 16)
	for {
		size, err := c.host.StateGet(id, key, nil, out)
		if err != nil {
			panic(err)
		}
		if int(size) > len(out) {
			out = make([]byte, size)
			continue
		}
		columns, _, err := frame.DecodeBlock(out[:size], []abi.FieldType{{Name: "v", Type: abi.I64}}, -1, nil)
		if err != nil {
			panic(err)
		}
		return frametest.Values(&columns[0])
	}
}

// ledgerScan returns how often each n was seen, and fails where the scan is not in ascending order.
func ledgerScan(c *fakeCall, key uint32) map[int]int {
	handle, err := c.host.StateScanOpen(1, key, nil, 0)
	if err != nil {
		panic(err)
	}
	out, last, seen := make([]byte, 200), -1, map[int]int{}
	for {
		size, err := c.host.StateScanNext(handle, out)
		if err != nil {
			panic(err)
		}
		if size < 0 {
			out = make([]byte, -size)
			continue
		}
		fields := []abi.FieldType{{Name: "n", Type: abi.I64}, {Name: "times", Type: abi.I64}}
		columns, rows, err := frame.DecodeBlock(out[:size], fields, -1, nil)
		if err != nil {
			panic(err)
		}
		if rows == 0 {
			return seen
		}
		for i, n := range frametest.Values(&columns[0]) {
			if n.(int) <= last {
				panic(fmt.Sprintf("scan: %d after %d", n, last))
			}
			last = n.(int)
			seen[last] = frametest.Values(&columns[1])[i].(int)
		}
	}
}

// ledgerStep is a batch, or an advance of the watermark where rows is nil.
type ledgerStep struct {
	rows []ledgerRow
	to   int64
}

// ledgerResult is all that a run does, in text.
type ledgerResult struct {
	rows     []string
	fired    map[string][]string // by key: across keys timers have no order
	rejected []string
}

// ledgerModel runs the steps row by row, in plain Go.
func ledgerModel(steps []ledgerStep) *ledgerResult {
	res := &ledgerResult{fired: map[string][]string{}}
	counts, seen, lists, set := map[any]int{}, map[any]map[int]int{}, map[any][]int{}, map[any][]int{}
	at := 0
	for _, s := range steps {
		for _, r := range s.rows {
			at++
			if r.n < 0 {
				res.rejected = append(res.rejected, fmt.Sprintf("%v %d %d", r.k, r.n, at-1))
				continue
			}
			counts[r.k]++
			if seen[r.k] == nil {
				seen[r.k] = map[int]int{}
			}
			seen[r.k][r.n]++
			lists[r.k] = append(lists[r.k], r.n)
			if !containsInt(set[r.k], r.n) {
				set[r.k] = append(set[r.k], r.n)
			}
			res.rows = append(res.rows, fmt.Sprintf("[%v %d %d %d %v] t=%d p=%d", r.k, r.n, counts[r.k], seen[r.k][r.n], r.payload, r.n, at-1))
		}
		if s.rows != nil {
			continue
		}
		for k := range set {
			for {
				least := -1
				for i, n := range set[k] {
					if int64(n) <= s.to && (least < 0 || n < set[k][least]) {
						least = i
					}
				}
				if least < 0 {
					break
				}
				sum := 0
				for _, n := range seen[k] {
					sum += n
				}
				text := strings.Join(strings.Fields(fmt.Sprint(lists[k])), " ")
				key := fmt.Sprint(k)
				res.fired[key] = append(res.fired[key], fmt.Sprintf("[%v %d %d %s] t=%d p=-1", k, counts[k], sum, text, set[k][least]))
				set[k] = append(set[k][:least:least], set[k][least+1:]...)
			}
		}
	}
	return res
}

func containsInt(list []int, n int) bool {
	for _, x := range list {
		if x == n {
			return true
		}
	}
	return false
}

func (r *rig) ledgerResult() *ledgerResult {
	res := &ledgerResult{fired: map[string][]string{}}
	for _, e := range r.emitted {
		for i := range e.batch.Rows {
			var row []any
			for c := range e.batch.Columns {
				row = append(row, values(&e.batch.Columns[c])[i])
			}
			text := fmt.Sprintf("%v t=%d p=%d", row, e.batch.EventTime[i], e.batch.Pos[i])
			text = strings.ReplaceAll(text, "<nil>", "<nil>")
			if e.port == 0 {
				res.rows = append(res.rows, text)
			} else {
				key := fmt.Sprint(row[0])
				res.fired[key] = append(res.fired[key], text)
			}
		}
	}
	for _, x := range r.rejected {
		res.rejected = append(res.rejected, fmt.Sprintf("%v %d %d", values(&x.Row.Columns[1])[0], x.Row.Columns[2].Int(0), x.Row.Pos[0]))
	}
	return res
}

func drawLedger(rng *rand.Rand, faults bool) []ledgerStep {
	var steps []ledgerStep
	watermark := int64(0)
	for range 6 {
		rows := make([]ledgerRow, 1+rng.IntN(40))
		for i := range rows {
			rows[i] = ledgerRow{k: string(rune('a' + rng.IntN(5))), n: rng.IntN(60), payload: strings.Repeat("x", rng.IntN(30))}
			if rng.IntN(10) == 0 {
				rows[i].k = nil
			}
			if rng.IntN(10) == 0 {
				rows[i].payload = nil
			}
			if faults && rng.IntN(15) == 0 {
				rows[i].n = -1 - rng.IntN(badKinds)
			}
		}
		steps = append(steps, ledgerStep{rows: rows})
		if rng.IntN(2) == 0 {
			watermark += int64(1 + rng.IntN(15))
			steps = append(steps, ledgerStep{to: watermark})
		}
	}
	return append(steps, ledgerStep{to: record.WatermarkEnd})
}

func runLedger(t *testing.T, steps []ledgerStep, consume func(int) int, adjust func(*Config)) *rig {
	t.Helper()
	inputs := ledgerInputs(t)
	r := newRig(t, ledger(consume), inputs, adjust)
	r.takeLedger(steps)
	return r
}

// takeLedger runs the steps of a ledger.
func (r *rig) takeLedger(steps []ledgerStep) {
	r.t.Helper()
	at := 0
	for _, s := range steps {
		if s.rows == nil {
			if err := r.op.Advance(s.to); err != nil {
				r.t.Fatalf("advancing: %v", err)
			}
			continue
		}
		r.process(0, ledgerBatch(r.ctx.Inputs[0].Schema, s.rows, at))
		at += len(s.rows)
	}
}

func checkLedger(t *testing.T, r *rig, want *ledgerResult) {
	t.Helper()
	got := r.ledgerResult()
	if !reflect.DeepEqual(got.rows, want.rows) {
		t.Fatalf("rows:\n%s\nwant:\n%s", strings.Join(got.rows, "\n"), strings.Join(want.rows, "\n"))
	}
	if !reflect.DeepEqual(got.fired, want.fired) {
		t.Fatalf("fired: %v\nwant: %v", got.fired, want.fired)
	}
	if !reflect.DeepEqual(got.rejected, want.rejected) {
		t.Fatalf("rejected: %v\nwant: %v", got.rejected, want.rejected)
	}
	rows := uint64(len(want.rows))
	if n := r.ctx.Meter.Custom()[0].Value.Load(); n != rows {
		t.Fatalf("the guest's counter is %d, want %d", n, rows)
	}
}

// TestCuts runs drawn ledgers whole, with frames cut at random, with items left over at random, and with an instance a frame:
// every run gives what the model gives.
func TestCuts(t *testing.T) {
	for seed := range uint64(60) {
		rng := rand.New(rand.NewPCG(seed, 1))
		steps := drawLedger(rng, seed%2 == 1)
		want := ledgerModel(steps)
		cut := func(c *Config) {
			c.Cut = func(from, to int) int { return from + 1 + rng.IntN(to-from) }
			c.Limits.TrapsPerMinute = 1 << 20
		}
		patient := func(c *Config) { c.Limits.TrapsPerMinute = 1 << 20 }
		for name, run := range map[string]func(t *testing.T) *rig{
			"whole":    func(t *testing.T) *rig { return runLedger(t, steps, nil, patient) },
			"cut":      func(t *testing.T) *rig { return runLedger(t, steps, nil, cut) },
			"consumed": func(t *testing.T) *rig { return runLedger(t, steps, func(n int) int { return 1 + rng.IntN(n) }, cut) },
			"recycled": func(t *testing.T) *rig {
				return runLedger(t, steps, nil, func(c *Config) { cut(c); c.Recycle = RecycleFrame })
			},
		} {
			t.Run(fmt.Sprintf("%s/seed=%d", name, seed), func(t *testing.T) {
				r := run(t)
				checkLedger(t, r, want)
				if p := r.op.config.Module.Compiled.(*program); name == "recycled" && p.instances < p.frames {
					t.Errorf("%d instances for %d frames", p.instances, p.frames)
				}
			})
		}
	}
}

// TestFailPolicy stops at the first bad row: what came before it has taken effect, nothing after it.
func TestFailPolicy(t *testing.T) {
	for bad := -badKinds; bad < 0; bad++ {
		t.Run(fmt.Sprint(bad), func(t *testing.T) {
			inputs := ledgerInputs(t)
			r := newRig(t, ledger(nil), inputs, nil)
			stop := errors.New("stop")
			r.policy = func(x *operator.Rejection) error { return stop }
			rows := []ledgerRow{{k: "a", n: 1}, {k: "b", n: 2}, {k: "a", n: bad}, {k: "a", n: 4}}
			if err := r.op.Process(0, ledgerBatch(inputs[0].Schema, rows, 100)); !errors.Is(err, stop) {
				t.Fatalf("got %v", err)
			}
			want := ledgerModel([]ledgerStep{{rows: rows[:2]}})
			for i := range want.rows {
				want.rows[i] = strings.Replace(want.rows[i], fmt.Sprintf("p=%d", i), fmt.Sprintf("p=%d", 100+i), 1)
			}
			if got := r.ledgerResult(); !reflect.DeepEqual(got.rows, want.rows) || len(got.rejected) != 1 {
				t.Fatalf("got %v, rejected %v", got.rows, got.rejected)
			}
			text := r.rejected[0].Cause.Error()
			for _, part := range []string{"TM-SANDBOX-06", "operator op", "module 0123456789ab", "source src, split s1, position 102", "key (k=a)"} {
				if !strings.Contains(text, part) {
					t.Errorf("the error %q does not say %q", text, part)
				}
			}
			if bad != badUnknown && bad != badAnswer && !strings.Contains(text, "bad row") {
				t.Errorf("the error %q does not have the guest's message", text)
			}
		})
	}
}
