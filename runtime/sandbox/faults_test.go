package sandbox

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/tidemill/tidemill/abi"
	"github.com/tidemill/tidemill/abi/frame"
	"github.com/tidemill/tidemill/abi/frame/frametest"
	"github.com/tidemill/tidemill/internal/errcode"
	"github.com/tidemill/tidemill/runtime/operator"
	"github.com/tidemill/tidemill/runtime/record"
	"github.com/tidemill/tidemill/runtime/sandbox/vm"
)

// samples is a program with the descriptor that the sample answers of frametest are for.
func samples(answer func(*fakeCall)) *program {
	schema := []abi.Field{{Name: "n", Type: "i64", Nullable: true}, {Name: "s", Type: "utf8", Nullable: true}}
	lists := []abi.Field{{Name: "l", Type: "list<utf8>", Nullable: true}, {Name: "d", Type: "decimal128(5,2)"}, {Name: "p", Type: "list<utf8>", Nullable: true}}
	return &program{
		entry: abi.Entry{Name: "op", Kind: abi.EntryOperator, Inputs: []abi.InputPort{{Name: "in"}}},
		descriptor: abi.Descriptor{
			Inputs:  []abi.BindInput{{Columns: []string{"n"}}},
			Outputs: []abi.BindOutput{{Name: "a", Schema: schema}, {Name: "b", Schema: schema}, {Name: "c", Schema: lists}},
			States: []abi.BindState{
				{Name: "value", Kind: "value", Value: schema[:1]}, {Name: "list", Kind: "list", Value: schema[1:]},
				{Name: "map", Kind: "map", Key: []abi.Field{{Name: "s", Type: "utf8"}}, Value: []abi.Field{{Name: "n", Type: "i64"}}},
				{Name: "lists", Kind: "value", Value: []abi.Field{lists[1], {Name: "i", Type: "list<i64>"}}},
			},
			Timers:  []abi.BindTimer{{Name: "t", Mode: abi.TimerReplace}, {Name: "u", Mode: abi.TimerMany}},
			Metrics: []abi.BindMetric{{Name: "c", Kind: abi.MetricCounter}, {Name: "g", Kind: abi.MetricGauge}},
		},
		answer: answer,
	}
}

func sampleInputs(t *testing.T) []operator.Input {
	return []operator.Input{{Port: "in", Keys: []int{1}, Schema: schema(t,
		record.Field{Name: "n", Type: record.I64, Nullable: true}, record.Field{Name: "k", Type: record.UTF8})}}
}

// sampleBatch is the batch of frametest.Asked.
func sampleBatch(s *record.Schema) *record.Batch {
	return &record.Batch{Schema: s, Rows: 3, Columns: []record.Column{
		column(record.I64, 1, 2, nil), column(record.UTF8, "AA", "UA", "AA")}}
}

// untouched fails where anything has taken effect.
func (r *rig) untouched() {
	r.t.Helper()
	if len(r.emitted) > 0 {
		r.t.Errorf("%d batches were emitted", len(r.emitted))
	}
	for id, cells := range r.state.cells {
		if len(cells) > 0 {
			r.t.Errorf("state %d has changed", id)
		}
	}
	if len(r.state.set) > 0 {
		r.t.Errorf("timers are set: %v", r.state.set)
	}
	for _, m := range r.ctx.Meter.Custom() {
		if m.Value.Load() != 0 {
			r.t.Errorf("metric %s has changed", m.Name)
		}
	}
}

// TestInvalidAnswersAreTraps: each invalid answer costs the instance, counts as a trap, and takes no effect, although the guest had
// applied state before. The items then run one by one.
func TestInvalidAnswersAreTraps(t *testing.T) {
	for _, c := range frametest.InvalidAnswers() {
		if c.Setup != nil {
			continue // another descriptor or limit: those are decided in package frame
		}
		t.Run(c.Name, func(t *testing.T) {
			frames := 0
			p := samples(func(call *fakeCall) {
				if frames++; frames > 1 {
					return
				}
				apply := *frametest.Answers(call.Sequence)["answer-state"]
				if err := call.host.StateApply(apply.Encode()); err != nil {
					t.Errorf("state_apply: %v", err)
				}
				call.raw = c.Data(call.Sequence)
			})
			inputs := sampleInputs(t)
			r := newRig(t, p, inputs, nil)
			r.process(0, sampleBatch(inputs[0].Schema))
			r.untouched()
			if n := r.ctx.Meter.Traps.Load(); n != 1 {
				t.Errorf("%d traps", n)
			}
			if p.instances != 2 || p.frames != 4 || len(r.rejected) != 0 {
				t.Errorf("%d instances, %d frames, %d rejected; want 2, 4 and 0", p.instances, p.frames, len(r.rejected))
			}
		})
	}
}

// TestBadMemory has guests that answer or reserve what is not in their memory.
func TestBadMemory(t *testing.T) {
	for name, packed := range map[string]uint64{
		"behind the memory": 0xfffffff0_00000040, "longer than the memory": 16<<32 | 0xfffffff0, "too long": 16<<32 | 17<<20,
	} {
		t.Run(name, func(t *testing.T) {
			p := samples(func(call *fakeCall) { call.packed = &packed })
			inputs := sampleInputs(t)
			r := newRig(t, p, inputs, nil)
			r.process(0, sampleBatch(inputs[0].Schema))
			r.untouched()
			if len(r.rejected) != 3 || !errcode.Is(r.rejected[0].Cause, ErrAnswer) {
				t.Errorf("rejected %v", r.rejected)
			}
		})
	}
}

// TestBadReserve has buffers that are no place for a frame.
func TestBadReserve(t *testing.T) {
	inputs := sampleInputs(t)
	for name, at := range map[string]uint64{"not aligned": reserveAt + 8, "behind the memory": 0xfffffff0, "no address": 1 << 32, "too near the end": reserveAt + 255<<10} {
		t.Run(name, func(t *testing.T) {
			p := samples(func(*fakeCall) {})
			r := newRig(t, p, inputs, nil)
			p.reserve = at
			r.op.dropGuest()
			if err := r.op.Process(0, sampleBatch(inputs[0].Schema)); err == nil || !strings.Contains(err.Error(), "tidemill_reserve") {
				t.Errorf("got %v", err)
			}
		})
	}
}

// TestNoRoom: a guest that has no memory for a frame is at its memory limit.
func TestNoRoom(t *testing.T) {
	inputs := sampleInputs(t)
	p := samples(func(*fakeCall) {})
	r := newRig(t, p, inputs, nil)
	p.noRoom = true
	r.op.dropGuest()
	err := r.op.Process(0, sampleBatch(inputs[0].Schema))
	if e := errcode.Of(err); e == nil || !errcode.Is(err, ErrMemory) || !strings.Contains(err.Error(), "no room for a frame") {
		t.Errorf("got %v", err)
	}
}

// TestFailedFramesHaveNoEffect lets a guest do everything that it can and then fail, in each way.
func TestFailedFramesHaveNoEffect(t *testing.T) {
	for kind, code := range map[vm.Kind]*errcode.Code{
		0: ErrOperator, vm.Trap: ErrTrap, vm.Fuel: ErrFuel, vm.Stack: ErrStack, vm.Memory: ErrMemory, vm.Exit: ErrExit, vm.HostCall: ErrHostCall,
	} {
		t.Run(code.Title, func(t *testing.T) {
			p := samples(func(call *fakeCall) {
				all := frametest.Answers(call.Sequence)
				state := *all["answer-state"]
				for i := range state.States {
					for k := range state.States[i].Key {
						state.States[i].Key[k] = 0
					}
				}
				if err := call.host.StateApply(state.Encode()); err != nil {
					t.Errorf("state_apply: %v", err)
				}
				if kind == 0 {
					call.Answer = state
					call.Metrics = all["answer-metrics"].Metrics
					call.Timers = all["answer-timers"].Timers
					clear(call.Timers.Key)
					call.Batches = []frame.OutputRows{{Rows: 1, Identity: true, Columns: []frame.Column{
						frametest.Column(abi.I64, 1), frametest.Column(abi.UTF8, "x")}}}
					call.Failure = &frame.Failure{Code: abi.ErrorCodeUser, Item: 0, Message: "no"}
					return
				}
				call.fault = &vm.Fault{Kind: kind, Detail: "detail"}
				call.lastWords(0, "words", "place")
			})
			inputs := sampleInputs(t)
			r := newRig(t, p, inputs, nil)
			r.process(0, sampleBatch(inputs[0].Schema).Slice(0, 1))
			r.untouched()
			if len(r.rejected) != 1 || !errcode.Is(r.rejected[0].Cause, code) {
				t.Errorf("rejected %v", r.rejected)
			}
		})
	}
}

// TestFaultsSayWhere has what is said of a fault where the guest tells a message, a place, both or nothing.
func TestFaultsSayWhere(t *testing.T) {
	for _, c := range []struct {
		kind           vm.Kind
		message, place string
		want           string
	}{
		{vm.Trap, "", "", "trap: unreachable in main.inner < main.outer"},
		{vm.Trap, "", "op.py:3", "trap: unreachable (op.py:3)"},
		{vm.Trap, "boom", "", "boom; trap: unreachable"},
		{vm.Trap, "boom", "lib.rs:3", "boom (lib.rs:3); trap: unreachable"},
		{vm.Fuel, "", "", "fuel exhausted: unreachable in main.inner < main.outer"},
		{vm.Fuel, "", "op.py:3", "fuel exhausted: unreachable (op.py:3)"},
		{vm.Fuel, "in the loop", "op.py:3", "fuel exhausted: unreachable: in the loop (op.py:3)"},
	} {
		p := samples(func(call *fakeCall) {
			call.trap(0, c.message, c.place)
			call.fault.Kind = c.kind
		})
		inputs := sampleInputs(t)
		r := newRig(t, p, inputs, nil)
		r.process(0, sampleBatch(inputs[0].Schema).Slice(0, 1))
		if got := errcode.Of(r.rejected[0].Cause); got == nil || got.Message != c.want {
			t.Errorf("of %v, %q, %q it says %v, want %s", c.kind, c.message, c.place, got, c.want)
		}
	}
}

// TestErrorSays has the text of an error: operator, module, item, key, the guest's words, the trap.
func TestErrorSays(t *testing.T) {
	p := samples(func(call *fakeCall) { call.trap(0, "index out of range [5]\x1b[2J", "delays.go:42") })
	inputs := sampleInputs(t)
	r := newRig(t, p, inputs, nil)
	b := sampleBatch(inputs[0].Schema).Slice(0, 1)
	b.Pos, b.Runs = []int64{123}, []record.Run{{Origin: &record.Origin{Source: "flights", Split: "a.csv:0"}}}
	r.process(0, b)
	want := "TM-SANDBOX-060: index out of range [5]\ufffd[2J (delays.go:42); trap: unreachable " +
		"(at operator op, module 0123456789ab, source flights, split a.csv:0, position 123, key (k=AA))"
	if got := r.rejected[0].Cause.Error(); got != want+"; " && got != want {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	if row := r.rejected[0].Row; row.Rows != 1 || row.Pos[0] != 123 || values(&row.Columns[1])[0] != "AA" {
		t.Errorf("row %+v", row)
	}
}

// sizes collects the rows of each frame of a program whose rows are at fault where n is negative.
func sizes(list *[]int) *program {
	return samples(func(call *fakeCall) {
		rows := frametest.Values(&call.in.Batch.Columns[0])
		*list = append(*list, len(rows))
		for i, n := range rows {
			if n.(int) < 0 {
				ledgerFault(call, i, n.(int))
				return
			}
		}
	})
}

func numberedBatch(s *record.Schema, rows int, bad map[int]int) *record.Batch {
	var n, k []any
	for i := range rows {
		v := i
		if b, ok := bad[i]; ok {
			v = b
		}
		n, k = append(n, v), append(k, "k")
	}
	return &record.Batch{Schema: s, Rows: rows, Columns: []record.Column{column(record.I64, n...), column(record.UTF8, k...)}}
}

// TestItemsAtFault has the frames that the algorithm makes of a batch.
func TestItemsAtFault(t *testing.T) {
	for _, c := range []struct {
		name  string
		rows  int
		bad   map[int]int
		sizes []int
	}{
		{"well", 20, nil, []int{20}},
		{"one, known", 10, map[int]int{4: badError}, []int{10, 4, 5}},
		{"the first", 10, map[int]int{0: badError}, []int{10, 9}},
		{"the last", 10, map[int]int{9: badTrap}, []int{10, 9}},
		{"all", 3, map[int]int{0: badError, 1: badTrap, 2: badError}, []int{3, 2, 1}},
		{"one, unknown", 6, map[int]int{2: badUnknown}, []int{6, 1, 1, 1, 3}},
		{"four: one by one after the third", 20, map[int]int{3: badError, 7: badTrap, 11: badExit, 15: badError},
			[]int{20, 3, 16, 3, 12, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1}},
		{"fuel: alone before it is guilty", 6, map[int]int{2: badFuel}, []int{6, 2, 1, 3}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var got []int
			inputs := sampleInputs(t)
			r := newRig(t, sizes(&got), inputs, nil)
			r.process(0, numberedBatch(inputs[0].Schema, c.rows, c.bad))
			if !reflect.DeepEqual(got, c.sizes) {
				t.Errorf("frames of %v rows, want %v", got, c.sizes)
			}
			if len(r.rejected) != len(c.bad) {
				t.Errorf("%d rejected, want %d", len(r.rejected), len(c.bad))
			}
		})
	}
}

// TestSharedFuel: an item that found the frame's fuel used up by others is not at fault, one that needs too much alone is.
func TestSharedFuel(t *testing.T) {
	cost := []int64{20, 20, 90, 20, 300, 20, 20}
	var ran []int
	p := samples(func(call *fakeCall) {
		left := call.fuel
		for i, n := range frametest.Values(&call.in.Batch.Columns[0]) {
			if left -= cost[n.(int)]; left < 0 {
				call.fault = &vm.Fault{Kind: vm.Fuel}
				call.lastWords(i, "", "")
				return
			}
		}
		for _, n := range frametest.Values(&call.in.Batch.Columns[0]) {
			ran = append(ran, n.(int))
		}
	})
	inputs := sampleInputs(t)
	r := newRig(t, p, inputs, func(c *Config) { c.Limits.FuelBase, c.Limits.FuelPerItem = 90, 10 })
	r.process(0, numberedBatch(inputs[0].Schema, len(cost), nil))
	if want := []int{0, 1, 2, 3, 5, 6}; !reflect.DeepEqual(ran, want) {
		t.Errorf("ran %v, want %v", ran, want)
	}
	if len(r.rejected) != 1 || !errcode.Is(r.rejected[0].Cause, ErrFuel) {
		t.Errorf("rejected %v", r.rejected)
	}
}

func TestTrapsPerMinute(t *testing.T) {
	p := samples(func(call *fakeCall) { call.trap(0, "no", "") })
	inputs := sampleInputs(t)
	r := newRig(t, p, inputs, func(c *Config) { c.Limits.TrapsPerMinute = 2 })
	one := sampleBatch(inputs[0].Schema).Slice(0, 1)
	for range 5 { // two within each minute
		r.process(0, one)
		r.process(0, one)
		r.now += 60_000_000
	}
	r.process(0, one)
	r.process(0, one)
	err := r.op.Process(0, one)
	if !errcode.Is(err, ErrTraps) || !strings.Contains(err.Error(), "more than 2 faults") || !errcode.Is(err, ErrTrap) {
		t.Errorf("got %v", err)
	}
}

func TestErrorCodes(t *testing.T) {
	code := uint32(0)
	p := samples(func(call *fakeCall) {
		call.Failure = &frame.Failure{Code: code, Item: 0, Message: "the cell has 2 MiB, at most 1 MiB", Place: "x.go:1"}
	})
	inputs := sampleInputs(t)
	r := newRig(t, p, inputs, nil)
	one := sampleBatch(inputs[0].Schema).Slice(0, 1)
	code = abi.ErrorCodeLimit
	r.process(0, one)
	if !errcode.Is(r.rejected[0].Cause, ErrItem) || !strings.Contains(r.rejected[0].Cause.Error(), "at most 1 MiB (x.go:1)") {
		t.Errorf("got %v", r.rejected[0].Cause)
	}
	if p.instances != 1 || r.ctx.Meter.Traps.Load() != 0 {
		t.Error("an ERROR answer cost the instance")
	}
	code = abi.ErrorCodeUnexpected
	if err := r.op.Process(0, one); !errcode.Is(err, ErrSDK) {
		t.Errorf("got %v", err)
	}
}

// TestBrokenBackend: an error of the back-end fails the job, wherever it comes up, and is not the guest's.
func TestBrokenBackend(t *testing.T) {
	broken := errors.New("the disk is gone")
	for name, touch := range map[string]func(c *fakeCall){
		"get": func(c *fakeCall) {
			if _, err := c.host.StateGet(0, 0, nil, nil); err != nil {
				c.fault = &vm.Fault{Kind: vm.HostCall, Detail: err.Error()}
			}
		},
		"scan": func(c *fakeCall) {
			if _, err := c.host.StateScanOpen(2, 0, nil, 0); err != nil {
				c.fault = &vm.Fault{Kind: vm.HostCall, Detail: err.Error()}
			}
		},
		"apply": func(c *fakeCall) { c.Answer = *frametest.Answers(c.Sequence)["answer-state"] },
		"applied": func(c *fakeCall) {
			if err := c.host.StateApply(frametest.Answers(c.Sequence)["answer-state"].Encode()); err != nil {
				panic(err)
			}
		},
		"timers": func(c *fakeCall) { c.Answer = *frametest.Answers(c.Sequence)["answer-timers"] },
	} {
		t.Run(name, func(t *testing.T) {
			inputs := sampleInputs(t)
			r := newRig(t, samples(touch), inputs, nil)
			r.state.fail = broken
			if err := r.op.Process(0, sampleBatch(inputs[0].Schema)); !errors.Is(err, broken) {
				t.Errorf("got %v", err)
			}
			if len(r.rejected) > 0 || len(r.emitted) > 0 {
				t.Errorf("%d rejected, %d emitted", len(r.rejected), len(r.emitted))
			}
		})
	}
}

// TestUnconsumedState: what state_apply was given for items that the answer then leaves over is refused.
func TestUnconsumedState(t *testing.T) {
	p := samples(func(call *fakeCall) {
		if call.in.Batch.Rows == 1 {
			return
		}
		if err := call.host.StateApply(frametest.Answers(call.Sequence)["answer-state"].Encode()); err != nil {
			t.Errorf("state_apply: %v", err)
		}
		call.Consumed = 1
	})
	inputs := sampleInputs(t)
	r := newRig(t, p, inputs, nil)
	r.process(0, sampleBatch(inputs[0].Schema))
	r.untouched()
	if r.ctx.Meter.Traps.Load() != 1 {
		t.Errorf("%d traps", r.ctx.Meter.Traps.Load())
	}
}

// TestReplacedInstances: a new instance that binds otherwise fails the job, and barriers replace instances where asked.
func TestReplacedInstances(t *testing.T) {
	p := samples(func(*fakeCall) {})
	inputs := sampleInputs(t)
	r := newRig(t, p, inputs, func(c *Config) { c.Recycle = RecycleBarrier })
	b := sampleBatch(inputs[0].Schema)
	for range 3 {
		r.process(0, b)
		r.process(0, b)
		if err := r.op.Barrier(); err != nil {
			t.Fatal(err)
		}
	}
	if p.instances != 3 || r.ctx.Meter.Instances.Load() != 3 {
		t.Errorf("%d instances", p.instances)
	}
	p.descriptor.States = p.descriptor.States[:2]
	if err := r.op.Process(0, b); !errcode.Is(err, ErrChanged) {
		t.Errorf("got %v", err)
	}
}

func TestCallbackFailure(t *testing.T) {
	p := samples(func(call *fakeCall) { call.trap(0, "no", "") })
	p.descriptor.Callbacks = []string{abi.CallbackWatermark, abi.CallbackEnd}
	r := newRig(t, p, sampleInputs(t), nil)
	for name, err := range map[string]error{"WATERMARK": r.op.Advance(5), "END": r.op.End()} {
		if !errcode.Is(err, ErrTrap) || !strings.Contains(err.Error(), name+" callback") {
			t.Errorf("got %v", err)
		}
	}
	if len(r.rejected) > 0 {
		t.Error("a callback was rejected")
	}
}

// TestHostMisuse has one case for each way to misuse the state functions: each is refused, and ends in a fault.
func TestHostMisuse(t *testing.T) {
	key := frametest.Block(1, []frame.Column{frametest.Column(abi.UTF8, "x")})
	keys := frametest.Block(2, []frame.Column{frametest.Column(abi.UTF8, "x", "y")})
	other := frametest.Block(1, []frame.Column{frametest.Column(abi.I64, 1)})
	null := frametest.Block(1, []frame.Column{frametest.Column(abi.UTF8, nil)})
	long := frametest.Block(1, []frame.Column{frametest.Column(abi.UTF8, strings.Repeat("x", abi.KeyBytesMax))})
	calls := map[string]func(h vm.Host, c *fakeCall) error{
		"state 4 of 4":          func(h vm.Host, _ *fakeCall) error { _, err := h.StateGet(4, 0, nil, nil); return err },
		"key 2, the frame":      func(h vm.Host, _ *fakeCall) error { _, err := h.StateGet(0, 2, nil, nil); return err },
		"a map key for":         func(h vm.Host, _ *fakeCall) error { _, err := h.StateGet(0, 0, key, nil); return err },
		"block: 0 bytes":        func(h vm.Host, _ *fakeCall) error { _, err := h.StateGet(2, 0, nil, nil); return err },
		"2 rows where":          func(h vm.Host, _ *fakeCall) error { _, err := h.StateGet(2, 0, keys, nil); return err },
		"type i64, declared is": func(h vm.Host, _ *fakeCall) error { _, err := h.StateGet(2, 0, other, nil); return err },
		"1 nulls in a column":   func(h vm.Host, _ *fakeCall) error { _, err := h.StateGet(2, 0, null, nil); return err },
		"a map key of 65539":    func(h vm.Host, _ *fakeCall) error { _, err := h.StateGet(2, 0, long, nil); return err },
		"a scan of the list":    func(h vm.Host, _ *fakeCall) error { _, err := h.StateScanOpen(1, 0, nil, 0); return err },
		"unknown scan flags":    func(h vm.Host, _ *fakeCall) error { _, err := h.StateScanOpen(2, 0, nil, 8); return err },
		"bounds without a flag": func(h vm.Host, _ *fakeCall) error { _, err := h.StateScanOpen(2, 0, key, 0); return err },
		"1 rows where there must be 2": func(h vm.Host, _ *fakeCall) error {
			_, err := h.StateScanOpen(2, 0, key, abi.ScanLow|abi.ScanHigh)
			return err
		},
		"scan handle -1":            func(h vm.Host, _ *fakeCall) error { _, err := h.StateScanNext(-1, nil); return err },
		"scan handle 0 is not open": func(h vm.Host, _ *fakeCall) error { _, err := h.StateScanNext(0, nil); return err },
		"more than 64 scans": func(h vm.Host, _ *fakeCall) error {
			for i := range 64 + 6 { // six are ended: two with an empty buffer, the others by their end
				handle, err := h.StateScanOpen(2, 0, nil, 0)
				if err != nil {
					return fmt.Errorf("too early: %w", err)
				}
				if i < 6 {
					if _, err := h.StateScanNext(handle, make([]byte, i/2*1000)); err != nil {
						return fmt.Errorf("ending a scan: %w", err)
					}
				}
			}
			_, err := h.StateScanOpen(2, 0, nil, 0)
			return err
		},
		"state_apply header": func(h vm.Host, _ *fakeCall) error { return h.StateApply(nil) },
		"only STATE sections": func(h vm.Host, c *fakeCall) error {
			return h.StateApply(frametest.Answers(c.Sequence)["answer-timers"].Encode())
		},
		"sequence 77 answers": func(h vm.Host, c *fakeCall) error {
			return h.StateApply(frametest.Answers(77)["answer-state"].Encode())
		},
	}
	for want, call := range calls {
		t.Run(want, func(t *testing.T) {
			var got error
			p := samples(func(c *fakeCall) { got = call(c.host, c) })
			inputs := sampleInputs(t)
			r := newRig(t, p, inputs, nil)
			r.process(0, sampleBatch(inputs[0].Schema))
			if got == nil || !strings.Contains(got.Error(), want) {
				t.Errorf("got %v, want %q in it", got, want)
			}
		})
	}
	t.Run("no frame", func(t *testing.T) {
		var h vm.Host
		p := samples(func(c *fakeCall) { h = c.host })
		inputs := sampleInputs(t)
		r := newRig(t, p, inputs, nil)
		r.process(0, sampleBatch(inputs[0].Schema))
		_, get := h.StateGet(0, 0, nil, nil)
		_, open := h.StateScanOpen(2, 0, nil, 0)
		_, next := h.StateScanNext(0, nil)
		for _, err := range []error{get, open, next, h.StateApply(nil)} {
			if !errors.Is(err, errNoState) {
				t.Errorf("got %v", err)
			}
		}
	})
}
