package source

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tidemill/tidemill/connectors"
	"github.com/tidemill/tidemill/internal/clock"
	"github.com/tidemill/tidemill/internal/errcode"
	"github.com/tidemill/tidemill/runtime/exchange"
	"github.com/tidemill/tidemill/runtime/record"
	"github.com/tidemill/tidemill/runtime/telemetry"
)

var schema = &record.Schema{Fields: []record.Field{{Name: "at", Type: record.I64, Nullable: true}}}

// script is a source whose test says what each read gives.
type script struct {
	mu      sync.Mutex
	bounded bool
	found   [][]string // splits by discovery
	last    bool       // after found there is nothing more
	reads   map[string][]func(dst *record.Batch, bad *[]connectors.BadRecord) error
	opened  []string
}

func (s *script) Schema(context.Context) (*record.Schema, error) { return schema, nil }
func (s *script) Bounded() bool                                  { return s.bounded }

func (s *script) Enumerator(_ context.Context, state []byte) (connectors.Enumerator, error) {
	return &scriptEnumerator{script: s, at: len(state)}, nil
}

type scriptEnumerator struct {
	script *script
	at     int
}

func (e *scriptEnumerator) Discover(context.Context) ([]connectors.Split, bool, error) {
	e.script.mu.Lock()
	defer e.script.mu.Unlock()
	var splits []connectors.Split
	if e.at < len(e.script.found) {
		for _, id := range e.script.found[e.at] {
			splits = append(splits, connectors.Split{ID: id})
		}
		e.at++
	}
	return splits, e.at == len(e.script.found) && e.script.last, nil
}

func (e *scriptEnumerator) Snapshot() ([]byte, error) { return make([]byte, e.at), nil }
func (e *scriptEnumerator) Close() error              { return nil }

func (s *script) Open(_ context.Context, split connectors.Split, at record.Position) (connectors.Reader, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.opened = append(s.opened, split.ID)
	return &scriptReader{script: s, id: split.ID, pos: at}, nil
}

type scriptReader struct {
	script *script
	id     string
	pos    record.Position
}

// give adds a read that delivers rows with these event times.
func (s *script) give(split string, times ...int64) {
	s.then(split, func(dst *record.Batch, _ *[]connectors.BadRecord) error {
		for _, t := range times {
			dst.Columns[0].AppendInt(t)
			dst.Rows++
			dst.Pos = append(dst.Pos, t)
		}
		return nil
	})
}

func (s *script) end(split string) {
	s.then(split, func(*record.Batch, *[]connectors.BadRecord) error { return io.EOF })
}

func (s *script) then(split string, read func(dst *record.Batch, bad *[]connectors.BadRecord) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.reads == nil {
		s.reads = map[string][]func(*record.Batch, *[]connectors.BadRecord) error{}
	}
	s.reads[split] = append(s.reads[split], read)
}

// Next waits for the next read of the script.
func (r *scriptReader) Next(ctx context.Context, dst *record.Batch, _ int, bad *[]connectors.BadRecord) error {
	for ctx.Err() == nil {
		r.script.mu.Lock()
		left := r.script.reads[r.id]
		if len(left) > 0 {
			r.script.reads[r.id] = left[1:]
			r.script.mu.Unlock()
			had := len(*bad)
			err := left[0](dst, bad)
			r.pos.Records += int64(dst.Rows + len(*bad) - had)
			return err
		}
		r.script.mu.Unlock()
		time.Sleep(100 * time.Microsecond)
	}
	return ctx.Err()
}

func (r *scriptReader) Position() record.Position { return r.pos }
func (r *scriptReader) Close() error              { return nil }

// bench is a source with its subtasks.
type bench struct {
	t        *testing.T
	script   *script
	clock    *clock.Manual
	cfg      *Config
	assigner *Assigner
	signals  []*exchange.Signal
	subtasks []*Subtask
	bad      []string
	refuse   error
}

const start = 1_000_000 // seconds

func newBench(t *testing.T, s *script, parallelism int, more func(*Config), restored *State, restoredParallelism int, watermarks ...int64) *bench {
	b := &bench{t: t, script: s, clock: clock.NewManual(time.Unix(start, 0))}
	b.cfg = &Config{Name: "src", Connector: s, Schema: schema, Parallelism: parallelism, Clock: b.clock,
		EventTime: &EventTime{OutOfOrderness: 10 * time.Microsecond, Idleness: 30 * time.Second},
		Metrics:   telemetry.NewJob("j").Node("src", telemetry.Source, parallelism)}
	if more != nil {
		more(b.cfg)
	}
	for range parallelism {
		b.signals = append(b.signals, exchange.NewSignal())
	}
	b.assigner = NewAssigner(b.cfg, b.signals, restored, restoredParallelism)
	ctx, cancel := context.WithCancel(t.Context())
	var group sync.WaitGroup
	group.Go(func() {
		if err := b.assigner.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	for i := range parallelism {
		w := record.WatermarkNone
		if watermarks != nil {
			w = watermarks[i]
		}
		b.subtasks = append(b.subtasks, NewSubtask(ctx, b.cfg, i, b.assigner, b.signals[i], w, func(split string, bad *connectors.BadRecord) error {
			b.bad = append(b.bad, fmt.Sprintf("%s@%d %v", split, bad.At, bad.Reason))
			return b.refuse
		}))
	}
	t.Cleanup(func() {
		cancel()
		group.Wait()
		for _, s := range b.subtasks {
			s.Close()
		}
	})
	return b
}

// next polls a subtask until it has something.
func (b *bench) next(subtask int) string {
	b.t.Helper()
	for end := time.Now().Add(5 * time.Second); ; {
		it, ok, err := b.subtasks[subtask].Next()
		if err != nil {
			return "error: " + err.Error()
		}
		if ok {
			switch it.Kind {
			case exchange.Batch:
				return fmt.Sprintf("%v", it.Batch.EventTime)
			case exchange.Watermark:
				if it.Watermark == record.WatermarkEnd {
					return "end"
				}
				return fmt.Sprintf("w%d", it.Watermark)
			default:
				return "idle"
			}
		}
		if time.Now().After(end) {
			b.t.Fatal("nothing comes")
		}
		time.Sleep(50 * time.Microsecond)
	}
}

func (b *bench) expect(subtask int, want ...string) {
	b.t.Helper()
	for i, w := range want {
		if got := b.next(subtask); got != w {
			b.t.Fatalf("item %d of subtask %d is %s, want %s", i, subtask, got, w)
		}
	}
}

// nothing says that a subtask has nothing, now and a little later.
func (b *bench) nothing(subtask int) {
	b.t.Helper()
	for range 20 {
		if it, ok, err := b.subtasks[subtask].Next(); ok || err != nil {
			b.t.Fatalf("subtask %d has %+v, %v", subtask, it, err)
		}
		time.Sleep(100 * time.Microsecond)
	}
}

// readAhead waits until the fetcher of the only split has so many reads ready.
func (b *bench) readAhead(reads int) {
	b.t.Helper()
	for end := time.Now().Add(5 * time.Second); time.Now().Before(end); time.Sleep(50 * time.Microsecond) {
		if len(b.subtasks[0].splits) == 0 {
			b.nothing(0) // begins the split when it has been discovered
			continue
		}
		f := b.subtasks[0].splits[0].fetcher
		f.mu.Lock()
		ahead := len(f.reads)
		f.mu.Unlock()
		if ahead == reads {
			return
		}
	}
	b.t.Fatalf("there are never %d reads ahead", reads)
}

func TestWatermarkFollowsTheSplit(t *testing.T) {
	s := &script{bounded: true, found: [][]string{{"a"}}, last: true}
	s.give("a", 100, 90, 95)
	b := newBench(t, s, 1, nil, nil, 0)
	b.expect(0, "[100 90 95]", "w89") // a record of 90 would not be late
	s.give("a", 50)
	b.expect(0, "[50]")
	b.nothing(0)
	s.give("a", 101)
	b.expect(0, "[101]", "w90")
	s.end("a")
	b.expect(0, "end")
	b.nothing(0)
	if got := b.subtasks[0].Snapshot(); len(got) != 1 || !got[0].Position.Done || got[0].Position.Records != 5 || got[0].Watermark != 90 {
		t.Errorf("%+v", got)
	}
}

func TestWatermarkInterval(t *testing.T) {
	s := &script{bounded: true, found: [][]string{{"a"}}, last: true}
	b := newBench(t, s, 1, func(c *Config) { c.WatermarkInterval = 20 * time.Millisecond }, nil, 0)
	s.give("a", 100)
	b.expect(0, "[100]", "w89")
	s.give("a", 200)
	b.expect(0, "[200]")
	b.nothing(0)
	if at, ok := b.subtasks[0].Due(); !ok || at.Sub(b.clock.Now()) != 20*time.Millisecond {
		t.Errorf("due %v, %t", at, ok)
	}
	b.clock.Advance(19 * time.Millisecond)
	b.nothing(0)
	b.clock.Advance(time.Millisecond)
	b.expect(0, "w189")
	if _, ok := b.subtasks[0].Due(); ok {
		t.Error("due with nothing to do")
	}
}

// A split that nobody has begun holds the watermark of all; when the last is taken each subtask follows its own split, and one
// without a split follows the least.
func TestBoundedSourceIsHeldBySplits(t *testing.T) {
	s := &script{bounded: true, found: [][]string{{"a", "b"}, {"c"}}, last: true}
	b := newBench(t, s, 2, nil, nil, 0)
	s.give("a", 100)
	s.give("b", 200)
	b.expect(0, "[100]")
	b.expect(1, "[200]")
	b.nothing(0)
	b.nothing(1)
	b.clock.Advance(time.Hour) // in a bounded source nothing falls idle
	b.nothing(0)
	s.end("b")
	s.give("c", 40)
	b.expect(1, "[40]", "w29")
	b.expect(0, "w89") // without a batch of its own
	s.end("a")
	b.nothing(0)
	s.give("c", 150)
	b.expect(1, "[150]", "w139")
	b.expect(0, "w139")
	s.end("c")
	b.expect(1, "end")
	b.expect(0, "end")
	if !slices.Equal(s.opened, []string{"a", "b", "c"}) && !slices.Equal(s.opened, []string{"b", "a", "c"}) {
		t.Errorf("opened %v", s.opened)
	}
}

func TestIdleness(t *testing.T) {
	s := &script{found: [][]string{{"a", "b"}}}
	b := newBench(t, s, 1, nil, nil, 0)
	s.give("a", 100)
	b.expect(0, "[100]")
	b.nothing(0) // b has given nothing
	if at, ok := b.subtasks[0].Due(); !ok || at.Sub(b.clock.Now()) != 30*time.Second {
		t.Errorf("due %v, %t", at, ok)
	}
	b.clock.Advance(29 * time.Second)
	s.give("a", 110)
	b.expect(0, "[110]")
	b.nothing(0)
	b.clock.Advance(time.Second)
	b.expect(0, "w99") // b is idle
	s.give("b", 50)
	b.expect(0, "[50]") // late, and delivered
	b.nothing(0)
	s.give("a", 300)
	b.expect(0, "[300]")
	b.nothing(0) // b holds again
	s.give("b", 200)
	b.expect(0, "[200]", "w189")
	b.clock.Advance(30 * time.Second)
	b.expect(0, "w289", "idle") // all idle: the greatest counts
	b.nothing(0)
	s.give("b", 250)
	b.expect(0, "[250]", "w289") // active again; never back
}

func TestNeverIdleAtZero(t *testing.T) {
	s := &script{found: [][]string{{"a", "b"}}}
	b := newBench(t, s, 1, func(c *Config) { c.EventTime.Idleness = 0 }, nil, 0)
	s.give("a", 100)
	b.expect(0, "[100]")
	b.clock.Advance(time.Hour)
	b.nothing(0)
}

// Splits of an unbounded source are spread at once; a subtask without any is idle, and discovery goes on.
func TestUnboundedDiscovery(t *testing.T) {
	s := &script{found: [][]string{{"a"}, {}, {"b", "c"}}}
	b := newBench(t, s, 2, func(c *Config) { c.DiscoveryInterval = time.Second }, nil, 0)
	s.give("a", 100)
	b.expect(0, "[100]", "w89")
	b.expect(1, "idle")
	wait := func() {
		for end := time.Now().Add(5 * time.Second); b.clock.Waiting() == 0; {
			if time.Now().After(end) {
				t.Fatal("no discovery is due")
			}
			time.Sleep(100 * time.Microsecond)
		}
	}
	wait()
	b.clock.Advance(time.Second)
	wait()
	b.clock.Advance(time.Second)
	s.give("b", 50)
	s.give("c", 70)
	got := []string{b.next(1), b.next(1)}
	if got[0] != "w-9223372036854775808" || got[1] != "[50]" { // active again with nothing known yet
		t.Errorf("got %v", got)
	}
	b.expect(1, "w39")
	b.expect(0, "[70]")
	state := b.assigner.Snapshot()
	if state.Done || len(state.Enumerator) < 3 || len(state.Splits) != 3 {
		t.Errorf("%+v", state)
	}
}

// A source without event time takes no part in watermarks until it ends.
func TestNoEventTime(t *testing.T) {
	s := &script{bounded: true, found: [][]string{{"a"}}, last: true}
	b := newBench(t, s, 1, func(c *Config) { c.EventTime = nil }, nil, 0)
	s.give("a", 5)
	s.end("a")
	b.expect(0, "idle", "[]", "end")
}

func TestEventTimeOfDates(t *testing.T) {
	dates := &record.Schema{Fields: []record.Field{{Name: "d", Type: record.Date32, Nullable: true}}}
	b := record.NewBatch(dates, 3)
	b.Columns[0].AppendInt(1)
	b.Columns[0].AppendNull()
	b.Columns[0].AppendInt(-2)
	b.Rows, b.Pos = 3, []int64{7, 8, 9}
	var bad []connectors.BadRecord
	got, greatest := setEventTime(b, &EventTime{}, &bad)
	if !slices.Equal(got.EventTime, []int64{86_400_000_000, -172_800_000_000}) || greatest != 86_400_000_000 || !slices.Equal(got.Pos, []int64{7, 9}) {
		t.Errorf("%+v, %d", got, greatest)
	}
	if len(bad) != 1 || bad[0].At != 8 || string(bad[0].Raw) != `{"d":null}` || !errcode.Is(bad[0].Reason, ErrNoEventTime) {
		t.Errorf("%+v", bad)
	}
}

func TestEventTimeOfNumbers(t *testing.T) {
	b := record.NewBatch(&record.Schema{Fields: []record.Field{{Name: "n", Type: record.I64}}}, 3)
	for _, n := range []int64{1_357_000_000_000, math.MaxInt64 / 999, -5} {
		b.Columns[0].AppendInt(n)
	}
	b.Rows, b.Pos = 3, []int64{7, 8, 9}
	var bad []connectors.BadRecord
	got, greatest := setEventTime(b, &EventTime{Unit: 1000}, &bad)
	if !slices.Equal(got.EventTime, []int64{1_357_000_000_000_000, -5000}) || greatest != 1_357_000_000_000_000 || got.Columns[0].Int(1) != -5 {
		t.Errorf("%+v, %d", got, greatest)
	}
	if len(bad) != 1 || bad[0].At != 8 || !strings.Contains(bad[0].Reason.Error(), "beyond what microseconds can count") {
		t.Errorf("%+v", bad)
	}
}

func TestBadRecords(t *testing.T) {
	s := &script{bounded: true, found: [][]string{{"a"}}, last: true}
	spoilt := func(at int64) func(*record.Batch, *[]connectors.BadRecord) error {
		return func(_ *record.Batch, bad *[]connectors.BadRecord) error {
			*bad = append(*bad, connectors.BadRecord{At: at, Reason: errors.New("spoilt")})
			return nil
		}
	}
	s.then("a", spoilt(3))
	b := newBench(t, s, 1, nil, nil, 0)
	s.give("a", 100)
	b.expect(0, "[100]", "w89")
	if !slices.Equal(b.bad, []string{"a@3 spoilt"}) {
		t.Errorf("%v", b.bad)
	}
	if p := b.subtasks[0].Snapshot()[0].Position; p.Records != 2 {
		t.Errorf("position %+v does not count the bad record", p)
	}
	b.refuse = errors.New("the policy is fail")
	s.then("a", spoilt(4))
	b.expect(0, "error: the policy is fail")
}

// A position is that of what was handed out, not of what was read ahead; unread splits are in the assigner's part.
func TestSnapshotIsExact(t *testing.T) {
	s := &script{bounded: true, found: [][]string{{"a", "b"}}, last: true}
	full := make([]int64, record.RowsMax)
	s.give("a", full...)
	s.give("a", full...)
	b := newBench(t, s, 1, nil, nil, 0)
	b.next(0)
	b.readAhead(1)
	before := b.assigner.Snapshot()
	state := before
	if err := state.Merge(b.subtasks[0].Snapshot()); err != nil {
		t.Fatal(err)
	}
	want := []Split{
		{Split: connectors.Split{ID: "a"}, Position: record.Position{Records: record.RowsMax}, Watermark: -11, Subtask: 0},
		{Split: connectors.Split{ID: "b"}, Watermark: record.WatermarkNone, Subtask: -1},
	}
	for i := range want {
		if got := state.Splits[i]; got.Split.ID != want[i].Split.ID || got.Position != want[i].Position || got.Watermark != want[i].Watermark || got.Subtask != want[i].Subtask {
			t.Errorf("split %d: %+v, want %+v", i, got, want[i])
		}
	}
	if err := state.Merge([]Split{want[0], want[0]}); err == nil {
		t.Error("a split reported twice was taken")
	}
}

// What a checkpoint says of splits when it was triggered gives way to what subtasks report at the barrier: begun, ended or
// discovered in between.
func TestMerge(t *testing.T) {
	split := func(id string, records int64, subtask int, done bool) Split {
		return Split{Split: connectors.Split{ID: id}, Position: record.Position{Records: records, Done: done}, Subtask: subtask}
	}
	state := State{Splits: []Split{split("a", 0, -1, false), split("b", 3, 0, false), split("c", 0, -1, false), split("d", 9, 1, true)}}
	if err := state.Merge([]Split{split("b", 8, 0, true), split("a", 2, 0, false), split("new", 1, 1, false)}); err != nil {
		t.Fatal(err)
	}
	want := []Split{split("a", 2, 0, false), split("b", 8, 0, true), split("c", 0, -1, false), split("d", 9, 1, true), split("new", 1, 1, false)}
	if fmt.Sprint(state.Splits) != fmt.Sprint(want) {
		t.Errorf("got %v\nwant %v", state.Splits, want)
	}
}

// At the same parallelism each subtask goes on with its own split, so that its watermark stays a lower bound; ended splits stay
// ended, and a split that is discovered again is known.
func TestRestore(t *testing.T) {
	position := func(n int64) record.Position { return record.Position{Records: n} }
	restored := &State{Enumerator: []byte{}, Splits: []Split{
		{Split: connectors.Split{ID: "fresh"}, Watermark: record.WatermarkNone, Subtask: -1},
		{Split: connectors.Split{ID: "ended"}, Position: record.Position{Records: 9, Done: true}, Watermark: 300, Subtask: 0},
		{Split: connectors.Split{ID: "one"}, Position: position(4), Watermark: 50, Subtask: 1},
		{Split: connectors.Split{ID: "zero"}, Position: position(5), Watermark: 150, Subtask: 0},
	}}
	s := &script{bounded: true, found: [][]string{{"ended", "one", "zero", "fresh"}}, last: true}
	b := newBench(t, s, 2, nil, restored, 2, 150, 50)
	s.give("one", 70)
	s.give("zero", 170)
	b.expect(1, "[70]")
	b.expect(0, "[170]")
	s.end("one")
	s.give("fresh", 120)
	b.expect(1, "[120]", "w109") // out of its own past; the other is not held any more
	b.expect(0, "w159")
	s.end("fresh")
	s.end("zero")
	b.expect(1, "w159") // follows the one split left
	b.expect(0, "end")
	b.expect(1, "end")
	slices.Sort(s.opened)
	if !slices.Equal(s.opened, []string{"fresh", "one", "zero"}) {
		t.Errorf("opened %v", s.opened)
	}
}

// At another parallelism unfinished splits go first, to whoever asks.
func TestRestoreAtAnotherParallelism(t *testing.T) {
	restored := &State{Done: true, Splits: []Split{
		{Split: connectors.Split{ID: "fresh"}, Watermark: record.WatermarkNone, Subtask: -1},
		{Split: connectors.Split{ID: "x"}, Position: record.Position{Records: 4}, Watermark: 60, Subtask: 5},
		{Split: connectors.Split{ID: "y"}, Position: record.Position{Records: 4}, Watermark: 50, Subtask: 3},
	}}
	s := &script{bounded: true, last: true}
	b := newBench(t, s, 1, nil, restored, 6, 50)
	s.give("x", 100)
	s.end("x")
	s.give("y", 90)
	s.end("y")
	s.give("fresh", 95)
	s.end("fresh")
	b.expect(0, "[100]", "[90]", "[95]", "w84", "end")
	if !slices.Equal(s.opened, []string{"x", "y", "fresh"}) {
		t.Errorf("opened %v", s.opened)
	}
}

func TestRestoredAtItsEnd(t *testing.T) {
	s := &script{bounded: true, last: true}
	b := newBench(t, s, 1, nil, &State{Done: true}, 1, record.WatermarkEnd)
	b.nothing(0)
}

func TestStop(t *testing.T) {
	s := &script{bounded: true, found: [][]string{{"a"}}, last: true}
	s.give("a", 100)
	b := newBench(t, s, 1, nil, nil, 0)
	b.expect(0, "[100]")
	b.subtasks[0].Stop()
	s.give("a", 200)
	s.end("a")
	b.nothing(0)
}

func TestReadErrors(t *testing.T) {
	s := &script{bounded: true, found: [][]string{{"a"}}, last: true}
	s.then("a", func(*record.Batch, *[]connectors.BadRecord) error { return errors.New("the disk is on fire") })
	b := newBench(t, s, 1, nil, nil, 0)
	got := b.next(0)
	want := "error: TM-RUN-002: reading the source failed (at source src, split a): the disk is on fire; " +
		"check that the source is reachable and readable, then run the job again"
	if got != want {
		t.Errorf("got %s", got)
	}
	p := &script{bounded: true, found: [][]string{{"a"}}, last: true}
	p.then("a", func(*record.Batch, *[]connectors.BadRecord) error { panic("a bug") })
	if got := newBench(t, p, 1, nil, nil, 0).next(0); len(got) < 20 || !slices.Contains([]byte(got), 'b') || got[:18] != "error: TM-RUN-002:" {
		t.Errorf("got %s", got)
	}
}

// A read that finds a split idle is repeated after a pause.
func TestIdleReads(t *testing.T) {
	s := &script{found: [][]string{{"a"}}}
	s.then("a", func(*record.Batch, *[]connectors.BadRecord) error { return connectors.ErrIdle })
	s.give("a", 7)
	b := newBench(t, s, 1, nil, nil, 0)
	for end := time.Now().Add(5 * time.Second); b.clock.Waiting() == 0; {
		if time.Now().After(end) {
			t.Fatal("the fetcher does not pause")
		}
		b.nothing(0)
	}
	b.clock.Advance(idlePause)
	b.expect(0, "[7]", "w-4")
}

// Small reads are joined while they wait; with a batch delay they wait for each other.
func TestBatchDelay(t *testing.T) {
	s := &script{bounded: true, found: [][]string{{"a"}}, last: true}
	b := newBench(t, s, 1, func(c *Config) { c.BatchDelay = 5 * time.Millisecond }, nil, 0)
	b.nothing(0)
	s.give("a", 1)
	b.readAhead(1)
	b.nothing(0)
	if at, ok := b.subtasks[0].Due(); !ok || at.Sub(b.clock.Now()) != 5*time.Millisecond {
		t.Errorf("due %v, %t", at, ok)
	}
	b.clock.Advance(4 * time.Millisecond)
	s.give("a", 2)
	b.readAhead(2)
	b.nothing(0)
	b.clock.Advance(time.Millisecond)
	b.expect(0, "[1 2]", "w-9")
	s.give("a", 3)
	s.end("a")
	b.expect(0, "[3]") // the end waits for nothing
	full := &script{bounded: true, found: [][]string{{"a"}}, last: true}
	full.give("a", make([]int64, record.RowsMax)...)
	if got := newBench(t, full, 1, func(c *Config) { c.BatchDelay = time.Hour }, nil, 0).next(0); len(got) < record.RowsMax {
		t.Errorf("a full batch waits: %s", got)
	}
}

// Reading ahead is bounded in rows and in reads.
func TestReadAheadIsBounded(t *testing.T) {
	for _, rows := range []int{1, 100, record.RowsMax} {
		s := &script{bounded: true, found: [][]string{{"a"}}, last: true}
		for range 300 {
			s.give("a", make([]int64, rows)...)
		}
		b := newBench(t, s, 1, nil, nil, 0)
		for end := time.Now().Add(5 * time.Second); len(b.subtasks[0].splits) == 0; {
			b.subtasks[0].begin(b.clock.Now())
			if time.Now().After(end) {
				t.Fatal("no split")
			}
		}
		left := func() int {
			s.mu.Lock()
			defer s.mu.Unlock()
			return len(s.reads["a"])
		}
		most := min(aheadReadsMax, (aheadRowsMax+rows-1)/rows) + 1
		stable, last := 0, -1
		for stable < 50 {
			if n := left(); n == last {
				stable++
			} else {
				stable, last = 0, n
			}
			time.Sleep(200 * time.Microsecond)
		}
		if read := 300 - last; read > most || read < most-1 {
			t.Errorf("%d reads of %d rows ahead, at most %d", read, rows, most)
		}
	}
}

func TestRate(t *testing.T) {
	c := clock.NewManual(time.Unix(start, 0))
	for _, perSecond := range []float64{0.5, 3, 1000, 33_678, 5_000_000} {
		r := NewRate(c, perSecond)
		granted, seconds, largest := 0, 20.0, 0
		end := c.Now().Add(time.Duration(seconds * float64(time.Second)))
		for c.Now().Before(end) {
			n, wait := r.take(record.RowsMax)
			if n > 0 {
				half := (n + 1) / 2 // a reader may use less than it was granted
				granted += half
				largest = max(largest, half)
				r.giveBack(n - half)
				continue
			}
			c.Advance(wait)
		}
		want := perSecond * seconds
		if float64(granted) > want+1 || float64(granted) < want*0.99-1 {
			t.Errorf("%g a second: %d granted in %g s", perSecond, granted, seconds)
		}
		if smooth := max(perSecond/10, 1); float64(largest) > smooth {
			t.Errorf("%g a second: %d at once", perSecond, largest)
		}
	}
	r := NewRate(c, 1000)
	c.Advance(time.Hour) // a pause is not made up for
	sum := 0
	for {
		n, _ := r.take(record.RowsMax)
		if n == 0 {
			break
		}
		sum += n
	}
	if sum > 100 {
		t.Errorf("%d at once after a pause", sum)
	}
}

// A column that nothing has a value for is told of once, at the end of a bounded source.
func TestColumnsWithoutValues(t *testing.T) {
	for _, last := range []string{"a null", "a value", "no record"} {
		s := &script{bounded: true, last: true, found: [][]string{{"a", "b"}}}
		null := func(dst *record.Batch, _ *[]connectors.BadRecord) error {
			dst.Columns[0].AppendNull()
			dst.Rows++
			dst.Pos = append(dst.Pos, 0)
			return nil
		}
		switch last {
		case "a null":
			s.then("a", null)
			s.then("b", null)
		case "a value":
			s.then("a", null)
			s.give("b", 5)
		}
		s.end("a")
		s.end("b")
		var log bytes.Buffer
		b := newBench(t, s, 2, func(c *Config) {
			c.EventTime, c.Log = nil, slog.New(slog.NewTextHandler(&log, nil))
		}, nil, 0)
		for ended := 0; ended < 2; { // either subtask may get both splits
			for _, subtask := range b.subtasks {
				it, ok, err := subtask.Next()
				if err != nil {
					t.Fatal(err)
				}
				if ok && it.Kind == exchange.Watermark && it.Watermark == record.WatermarkEnd {
					ended++
				}
			}
			time.Sleep(50 * time.Microsecond)
		}
		want := map[string]int{"a null": 1}[last]
		if got := strings.Count(log.String(), "source=src columns=at records=2"); got != want || want == 0 && log.Len() > 0 {
			t.Errorf("%s: %q", last, log.String())
		}
	}
}
