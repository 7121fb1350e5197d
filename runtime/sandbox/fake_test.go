package sandbox

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"testing"

	"github.com/tidemill/tidemill/abi"
	"github.com/tidemill/tidemill/abi/frame"
	"github.com/tidemill/tidemill/abi/frame/frametest"
	"github.com/tidemill/tidemill/runtime/operator"
	"github.com/tidemill/tidemill/runtime/record"
	"github.com/tidemill/tidemill/runtime/sandbox/crossing"
	"github.com/tidemill/tidemill/runtime/sandbox/vm"
)

// program is a guest written in Go: what it binds and how it answers frames. It is called for every frame with a call of its own.
type program struct {
	descriptor abi.Descriptor
	entry      abi.Entry
	answer     func(*fakeCall)

	instances int // opened so far
	frames    int
	describe  []byte // instead of the entry's description
	open      []byte // instead of the descriptor
	request   abi.OpenRequest
	spare     [][]byte // memories of closed instances, to be used again as they are
	startErr  error
	room      int // bytes for the reserved buffer, at least 256 KiB
	noRoom    bool
	reserve   uint64 // instead of the buffer's address
	openErr   error
}

// fakeCall is one frame as a program sees it, and its answer.
type fakeCall struct {
	frametest.Answer
	in       *frame.Input
	host     vm.Host
	instance *fakeInstance
	raw      []byte // the answer's bytes, where not nil
	packed   *uint64
	fault    *vm.Fault
	some     bool // the answer is sent though it says nothing
	fuel     int64
	fuelUsed int64
}

// faultCellAt is where a fake guest keeps its fault cell; its texts follow it.
const faultCellAt = 64

// trap ends the call as a Go panic or a Rust panic with a fault cell would.
func (c *fakeCall) trap(item int, message, place string) {
	c.fault = &vm.Fault{Kind: vm.Trap, Detail: "unreachable", Frames: []string{"main.inner", "main.outer"}}
	c.lastWords(item, message, place)
}

func (c *fakeCall) lastWords(item int, message, place string) {
	cell := frameBytes(uint32(item), faultCellAt+32, uint32(len(message)), faultCellAt+32+uint32(len(message)), uint32(len(place)))
	copy(c.instance.memory[faultCellAt:], append(append(cell, make([]byte, 12)...), message+place...))
}

func frameBytes(words ...uint32) []byte {
	var b []byte
	for _, w := range words {
		b = append(b, byte(w), byte(w>>8), byte(w>>16), byte(w>>24))
	}
	return b
}

func (p *program) module() Module {
	return Module{Compiled: p, Digest: "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"}
}

func (p *program) Instantiate(_ context.Context, host vm.Host, config vm.Config) (vm.Instance, error) {
	if p.startErr != nil {
		return nil, p.startErr
	}
	p.instances++
	i := &fakeInstance{program: p, host: host, max: config.MemoryBytesMax}
	if n := len(p.spare); n > 0 {
		i.memory, p.spare = p.spare[n-1], p.spare[:n-1]
	} else {
		i.memory = make([]byte, reserveAt+max(p.room, 256<<10))
	}
	return i, nil
}

func (p *program) Close(context.Context) error { return nil }

// fakeInstance lays its memory out as: fault cell, JSON answers at 64 KiB, answers at 128 KiB, the reserved
// buffer at 512 KiB.
type fakeInstance struct {
	program *program
	host    vm.Host
	memory  []byte
	max     uint64
	used    int64
	dead    bool
	closed  bool
}

const (
	jsonAt    = 64 << 10
	answerAt  = 128 << 10
	reserveAt = 512 << 10
)

func (i *fakeInstance) Memory() []byte  { return i.memory }
func (i *fakeInstance) FuelUsed() int64 { return i.used }

func (i *fakeInstance) Close() {
	if !i.closed {
		i.closed = true
		i.program.spare = append(i.program.spare, i.memory)
		i.memory = nil
	}
}

func (i *fakeInstance) Call(export vm.Export, a, b uint32, fuel int64) (uint64, error) {
	if i.dead || i.closed {
		return 0, &vm.Fault{Kind: vm.Trap, Detail: "called after its end"}
	}
	i.used += 100
	switch export {
	case vm.Reserve:
		if i.program.noRoom {
			return 0, nil
		}
		if i.program.reserve != 0 {
			return i.program.reserve, nil
		}
		return reserveAt, nil
	case vm.Describe:
		d := abi.Description{ABI: abi.Version, SDK: abi.SDK{Name: "fake", Version: "1"}, Entries: []abi.Entry{i.program.entry}}
		return i.json(d, i.program.describe)
	case vm.Open:
		if i.program.openErr != nil {
			return 0, i.program.openErr
		}
		if err := json.Unmarshal(i.memory[a:a+b], &i.program.request); err != nil {
			return 0, err
		}
		d := i.program.descriptor
		d.FaultCell = faultCellAt
		return i.json(abi.OpenAnswer{Descriptor: &d}, i.program.open)
	}
	return i.process(a, b, fuel)
}

func (i *fakeInstance) json(v any, instead []byte) (uint64, error) {
	data, err := json.Marshal(v)
	if err != nil {
		return 0, err
	}
	if instead != nil {
		data = instead
	}
	return jsonAt<<32 | uint64(copy(i.memory[jsonAt:], data)), nil
}

func (i *fakeInstance) process(at, n uint32, fuel int64) (uint64, error) {
	i.program.frames++
	in, err := frame.DecodeInput(i.memory[at : at+n])
	if err != nil {
		return 0, fmt.Errorf("the host's frame: %w", err)
	}
	c := &fakeCall{in: in, host: i.host, instance: i, fuel: fuel}
	c.Kind, c.Sequence = in.Kind, in.Sequence
	copy(i.memory[faultCellAt:], frameBytes(abi.ItemNone, 0, 0, 0, 0))
	i.program.answer(c)
	i.used += c.fuelUsed
	switch {
	case c.fault != nil:
		i.dead = true
		return 0, c.fault
	case c.packed != nil:
		return *c.packed, nil
	}
	data := c.raw
	if data == nil {
		if !c.some && len(c.Batches) == 0 && len(c.States) == 0 && c.Timers == nil && len(c.Metrics) == 0 && c.Failure == nil &&
			len(c.Extra) == 0 && c.Consumed == 0 {
			return 0, nil
		}
		data = c.Encode()
	}
	return answerAt<<32 | uint64(copy(i.memory[answerAt:], data)), nil
}

// rig is an open operator with what it emits and rejects.
type rig struct {
	t        *testing.T
	op       *Operator
	ctx      *operator.Context
	state    *modelState
	now      int64
	emitted  []emitted
	rejected []*operator.Rejection
	policy   func(*operator.Rejection) error // nil: skip
	logged   *logLines
}

type emitted struct {
	port  int
	batch *record.Batch
}

// logLines collects what is logged.
type logLines struct {
	slog.Handler
	lines []string
}

func (l *logLines) Handle(_ context.Context, r slog.Record) error {
	l.lines = append(l.lines, r.Level.String()+" "+r.Message)
	return nil
}

func (l *logLines) Enabled(context.Context, slog.Level) bool { return true }

func newRig(t *testing.T, p *program, inputs []operator.Input, adjust func(*Config)) *rig {
	t.Helper()
	return newRigFor(t, p, p.module(), "op", inputs, adjust)
}

// newRigContext makes the context of a program's operator.
func newRigContext(t *testing.T, p *program, inputs []operator.Input) *rig {
	t.Helper()
	r := &rig{t: t, now: 1_000_000, logged: &logLines{Handler: slog.NewTextHandler(io.Discard, nil)}}
	r.ctx = &operator.Context{
		Job: "job", Operator: "op", Parallelism: 1, MaxParallelism: 128, Inputs: inputs, Watermark: record.WatermarkNone,
		Now:  func() int64 { return r.now },
		Emit: func(port int, b *record.Batch) { r.emitted = append(r.emitted, emitted{port, b}) },
		Reject: func(x *operator.Rejection) error {
			r.rejected = append(r.rejected, x)
			if r.policy != nil {
				return r.policy(x)
			}
			return nil
		},
		Log: slog.New(r.logged), Meter: &operator.Meter{},
	}
	for i := range inputs {
		if len(inputs[i].Keys) == 0 {
			continue
		}
		r.ctx.Key = nil
		for _, k := range inputs[i].Keys {
			r.ctx.Key = append(r.ctx.Key, inputs[i].Schema.Fields[k])
		}
		if r.state == nil {
			r.state = &modelState{}
			r.ctx.State = r.state
		}
	}
	for _, o := range p.descriptor.Outputs {
		var fields []record.Field
		for _, f := range o.Schema {
			typ, _ := record.ParseType(f.Type)
			fields = append(fields, record.Field{Name: f.Name, Type: typ, Nullable: f.Nullable})
		}
		r.ctx.Outputs = append(r.ctx.Outputs, operator.Output{Port: o.Name, Schema: schema(t, fields...)})
	}
	return r
}

// newRigFor opens an operator of a module with the descriptor of a program.
func newRigFor(t *testing.T, p *program, m Module, entry string, inputs []operator.Input, adjust func(*Config)) *rig {
	t.Helper()
	r := newRigContext(t, p, inputs)
	request := Request(entry, "job", "op", 0, 1, inputs, r.ctx.Key, nil)
	binding, err := abi.Bind(&request, &p.descriptor)
	if err != nil {
		t.Fatalf("binding: %v", err)
	}
	config := Config{Module: m, Entry: entry, Binding: binding}
	if adjust != nil {
		adjust(&config)
	}
	r.op = New(config)
	if err := r.op.Open(r.ctx); err != nil {
		t.Fatalf("opening: %v", err)
	}
	t.Cleanup(func() { r.op.Close() })
	return r
}

func (r *rig) process(port int, b *record.Batch) {
	r.t.Helper()
	if err := r.op.Process(port, b); err != nil {
		r.t.Fatalf("processing: %v", err)
	}
}

// column builds a column of the host from Go values.
func column(t record.Type, values ...any) record.Column {
	c := frametest.Column(abi.Type(t), values...)
	out := record.Column{Type: t, Len: c.Len, Nulls: c.Nulls, Validity: c.Validity, Offsets: c.Offsets, Values: c.Values}
	if t.HasOffsets() && out.Offsets == nil {
		out.Offsets = []int32{0}
	}
	if c.Elements != nil {
		elements := column(t.Element(), frametest.Values(c.Elements)...)
		out.Elements = &elements
	}
	return out
}

func values(c *record.Column) []any {
	f := crossing.AsFrame(c)
	return frametest.Values(&f)
}

func schema(t *testing.T, fields ...record.Field) *record.Schema {
	t.Helper()
	s, err := record.NewSchema(fields)
	if err != nil {
		t.Fatal(err)
	}
	return s
}
