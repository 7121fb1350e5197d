package conformance

import (
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"strings"

	"github.com/tidemill/tidemill/abi"
	"github.com/tidemill/tidemill/abi/conformance/model"
	"github.com/tidemill/tidemill/abi/conformance/program"
	"github.com/tidemill/tidemill/runtime/operator"
	"github.com/tidemill/tidemill/runtime/record"
	"github.com/tidemill/tidemill/runtime/sandbox"
	"github.com/tidemill/tidemill/runtime/state"
	"github.com/tidemill/tidemill/runtime/state/badgerdb"
	"github.com/tidemill/tidemill/runtime/state/memory"
	"github.com/tidemill/tidemill/runtime/state/statetest"
)

// groups is the job's max parallelism.
const groups = 16

// errStop is how the policy fail ends a run.
var errStop = errors.New("an item was refused")

// run is a case under way on the real sandbox.
type run struct {
	plan     *Plan
	steps    []program.Step
	params   map[string]any
	dir      string // for Badger
	cut      *rand.Rand
	epoch    int
	subtasks []*subtask
	chain    []*statetest.Segment // of the last checkpoint, oldest first

	watermark, now int64
	pos            int64 // of the next row
	seen           *Seen
}

// subtask is one operator with its state, and the rows that wait to be its next batch.
type subtask struct {
	op      *sandbox.Operator
	state   state.Backend
	meter   *operator.Meter
	guest   *Guest
	pending *record.Batch
	port    int
}

// Run runs a case by a plan and returns what was to be seen. An error is one of the host, or of a guest that cannot be opened.
func Run(c *program.Case, plan *Plan) (*Seen, error) {
	r := &run{
		plan: plan, steps: c.Steps, params: params(c), watermark: model.NoTime, now: program.FirstTick, seen: newSeen(c.Steps),
	}
	if plan.Cut != 0 {
		r.cut = rand.New(rand.NewPCG(plan.Cut, 0))
	}
	if plan.Badger {
		dir, err := os.MkdirTemp("", "conformance-")
		if err != nil {
			return nil, err
		}
		defer os.RemoveAll(dir)
		r.dir = dir
	}
	if err := r.open(); err != nil {
		return nil, err
	}
	err := r.all()
	err = errors.Join(err, r.close())
	switch {
	case errors.Is(err, errStop):
		r.seen.Stopped, err = true, nil
	case err != nil && strings.Contains(err.Error(), " callback"):
		r.seen.Failed, err = true, nil
	}
	return r.seen, err
}

// all runs the steps and the end of input, and looks at what is left.
func (r *run) all() error {
	for i := range r.steps {
		if err := r.step(i); err != nil {
			return err
		}
	}
	if err := r.advance(record.WatermarkEnd); err != nil {
		return err
	}
	for _, s := range r.subtasks {
		if err := s.op.End(); err != nil {
			return err
		}
	}
	if err := r.checkpoint(); err != nil {
		return err
	}
	return nil
}

func (r *run) step(i int) error {
	s := &r.steps[i]
	switch s.Kind {
	case program.Row:
		return r.row(s)
	case program.Watermark:
		return r.advance(s.To)
	case program.Tick:
		if err := r.flush(); err != nil {
			return err
		}
		r.now = s.To
		for _, s := range r.subtasks {
			if err := s.op.Tick(r.now); err != nil {
				return err
			}
		}
		return nil
	}
	if err := r.checkpoint(); err != nil || !r.plan.Restore {
		return err
	}
	return r.restore(i)
}

// row adds a row to the batch of the subtask that owns its key. Rows of one key keep their order: a row of another port ends a batch.
func (r *run) row(s *program.Step) error {
	port, columns := 0, inRow(s)
	if s.More {
		port, columns = 1, moreRow(s)
	}
	in := inputs()[port]
	key := record.AppendKey(nil, columns, in.Keys, 0)
	t := r.subtasks[record.SubtaskOf(record.KeyGroup(record.HashKey(key), groups), len(r.subtasks), groups)]
	if t.pending != nil && (t.port != port || t.pending.Rows == r.plan.RowsMax) {
		if err := t.flush(); err != nil {
			return err
		}
	}
	if t.pending == nil {
		t.port, t.pending = port, record.NewBatch(in.Schema, 1)
		t.pending.Runs = []record.Run{{Origin: &record.Origin{Source: "case", Split: "0"}}}
	}
	b := t.pending
	for i := range columns {
		b.Columns[i].AppendRow(&columns[i], 0)
	}
	b.Rows++
	if b.Pos = append(b.Pos, r.pos); !s.More {
		b.EventTime = append(b.EventTime, s.EventTime)
	}
	r.pos++
	return nil
}

func (s *subtask) flush() error {
	if s.pending == nil {
		return nil
	}
	b := s.pending
	s.pending = nil
	return s.op.Process(s.port, b)
}

func (r *run) flush() error {
	for _, s := range r.subtasks {
		if err := s.flush(); err != nil {
			return err
		}
	}
	return nil
}

func (r *run) advance(to int64) error {
	if err := r.flush(); err != nil {
		return err
	}
	r.watermark = to
	for _, s := range r.subtasks {
		if err := s.op.Advance(to); err != nil {
			return err
		}
	}
	return nil
}

// checkpoint adds a segment of each subtask to the chain and looks at the state that the chain holds.
func (r *run) checkpoint() error {
	if err := r.flush(); err != nil {
		return err
	}
	base := r.plan.Base || len(r.chain) == 0
	if base {
		r.chain = nil
	}
	for _, s := range r.subtasks {
		if err := s.op.Barrier(); err != nil {
			return err
		}
		frozen, err := s.state.Freeze(base)
		if err != nil {
			return err
		}
		segment := &statetest.Segment{}
		if err := errors.Join(frozen.Write(segment), frozen.Close()); err != nil {
			return err
		}
		r.chain = append(r.chain, segment)
	}
	lines, err := stateLines(r.chain)
	r.seen.States = append(r.seen.States, lines)
	return err
}

// restore goes on from the checkpoint at a step with new subtasks, after some steps whose effects are lost.
func (r *run) restore(at int) error {
	watermark, now, pos, seen := r.watermark, r.now, r.pos, r.seen
	r.seen = newSeen(r.steps)
	for i := at + 1; i <= at+r.plan.Rollback && i < len(r.steps) && r.steps[i].Kind != program.Checkpoint; i++ {
		if err := r.step(i); err != nil {
			return err
		}
	}
	if err := r.flush(); err != nil {
		return err
	}
	r.watermark, r.now, r.pos, r.seen = watermark, now, pos, seen
	if next := at + 1; next < len(r.steps) && r.steps[next].Kind == program.Tick {
		r.now = r.steps[next].To // the job was down meanwhile
	}
	if err := r.close(); err != nil {
		return err
	}
	r.epoch++
	return r.open()
}

// open makes the subtasks of an epoch from the chain.
func (r *run) open() error {
	guest, n := r.plan.Guests[r.epoch%len(r.plan.Guests)], r.plan.Subtasks[r.epoch%len(r.plan.Subtasks)]
	a := asked{rowsEntry, r.plan.FrameBytes}
	if r.plan.Columnar && guest.columnar {
		a.entry = columnarEntry
	}
	binding, err := guest.binding(a)
	if err != nil {
		return err
	}
	r.subtasks = nil
	for i := range n {
		s, err := r.openOne(guest, a, binding, i, n)
		if err != nil {
			return errors.Join(err, r.close())
		}
		r.subtasks = append(r.subtasks, s)
	}
	return nil
}

func (r *run) openOne(guest *Guest, a asked, binding *abi.Binding, i, n int) (*subtask, error) {
	var factory state.Factory = memory.Factory{}
	options := state.Options{KeyFields: keyFields}
	if r.plan.Badger {
		factory, options.Dir = badgerdb.Factory{}, fmt.Sprintf("%s/%d-%d", r.dir, r.epoch, i)
	}
	backend, err := factory.New(options)
	if err != nil {
		return nil, err
	}
	s := &subtask{state: backend, guest: guest, meter: &operator.Meter{}}
	first, end := record.GroupRange(i, n, groups)
	for _, segment := range r.chain {
		if err := backend.Restore(segment.Reader(), [2]int{first, end}, groups); err != nil {
			return nil, errors.Join(err, backend.Close())
		}
	}
	config := sandbox.Config{Module: guest.module, Entry: a.entry, Binding: binding, Limits: guest.limits}
	config.Limits.FrameBytesMax = a.frameBytes
	if r.plan.EachFrame {
		config.Recycle = sandbox.RecycleFrame
	}
	if r.cut != nil {
		config.Cut = func(from, to int) int { return from + 1 + r.cut.IntN(to-from) }
	}
	s.op = sandbox.New(config)
	if err := s.op.Open(r.context(s, binding, i, n)); err != nil {
		return nil, errors.Join(err, s.op.Close(), backend.Close())
	}
	return s, nil
}

func (r *run) context(s *subtask, binding *abi.Binding, i, n int) *operator.Context {
	return &operator.Context{
		Job: "conformance", Operator: "interpreter", Subtask: i, Parallelism: n, MaxParallelism: groups,
		Inputs: inputs(), Key: keyFields, Outputs: outputs(binding), Params: r.params,
		State: s.state, Watermark: r.watermark, Now: func() int64 { return r.now },
		Emit: func(port int, b *record.Batch) { r.seen.emitted(portOf(binding.Outputs[port].Name), b, i) },
		Reject: func(x *operator.Rejection) error {
			if r.seen.refused(x); r.plan.Stop {
				return errStop
			}
			return nil
		},
		Log: slog.New(logged{&r.seen}), Meter: s.meter,
	}
}

// portOf finds an output port: a guest declares them in the order that it likes.
func portOf(name string) *program.Port {
	for i := range program.Ports {
		if program.Ports[i].Name == name {
			return &program.Ports[i]
		}
	}
	panic("conformance: no port " + name)
}

// close ends the subtasks and takes their metrics.
func (r *run) close() (err error) {
	for _, s := range r.subtasks {
		r.seen.metered(s.meter)
		err = errors.Join(err, s.op.Close(), s.state.Close())
	}
	r.subtasks = nil
	return err
}
