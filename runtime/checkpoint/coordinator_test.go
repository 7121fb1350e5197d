package checkpoint

import (
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tidemill/tidemill/connectors"
	"github.com/tidemill/tidemill/internal/errcode"
	"github.com/tidemill/tidemill/runtime/checkpoint/segment"
)

var testStart = time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)

func at(ms int) time.Time { return testStart.Add(time.Duration(ms) * time.Millisecond) }

func testOptions() Options {
	return Options{Identity: Identity{Job: "j", PlanDigest: "d", MaxParallelism: 8}, Parallelism: 2, Interval: time.Second, Keep: 2}
}

// twoSubtasks is one task of two subtasks, each reading and keeping state.
func twoSubtasks() []Subtask {
	return []Subtask{
		{ID: SubtaskID{0, 0}, Source: true, States: []StateRange{{"count", [2]int{0, 4}}}},
		{ID: SubtaskID{0, 1}, Source: true, States: []StateRange{{"count", [2]int{4, 8}}}},
	}
}

func started(t *testing.T, opt Options, r *Recovery) *Coordinator {
	t.Helper()
	c := NewCoordinator(opt)
	if got := c.Step(JobStarted{Now: at(0), Subtasks: twoSubtasks(), Recovery: r}); len(got) != 0 {
		t.Fatalf("the start gave %v", got)
	}
	return c
}

// ack is a subtask's acknowledgement with a segment of so many bytes (0: none) and a committable.
func ack(checkpoint uint64, index int, base bool, bytes int64) Acknowledged {
	groups := [2]int{index * 4, index*4 + 4}
	s := StateSnapshot{Node: "count", Base: base}
	if bytes > 0 {
		s.Segment = &Segment{File: segment.Name(checkpoint, "count", groups), Node: "count", Groups: groups, Checkpoint: checkpoint, Base: base,
			Bytes: bytes, XXH3: strings.Repeat("0", 32)}
	}
	return Acknowledged{Checkpoint: checkpoint, Subtask: SubtaskID{0, index}, Snapshot: Snapshot{States: []StateSnapshot{s},
		Committables: []connectors.Committable{{Sink: "out", Subtask: index, Checkpoint: checkpoint}}}}
}

// names describes commands by type and checkpoint.
func names(commands []Command) string {
	var list []string
	for _, c := range commands {
		s := strings.TrimPrefix(fmt.Sprintf("%T", c), "checkpoint.")
		switch c := c.(type) {
		case InjectBarrier:
			s += fmt.Sprintf(" %d %s", c.Checkpoint, c.Kind)
		case WriteCheckpoint:
			s += fmt.Sprintf(" %d", c.Manifest.Checkpoint)
		case Commit:
			s += fmt.Sprintf(" %d", c.Checkpoint)
		case CheckpointComplete:
			s += fmt.Sprintf(" %d", c.Manifest.Checkpoint)
		case Expire:
			s += fmt.Sprintf(" %v %v", c.Manifests, c.Others)
		case JobFinished:
			s += fmt.Sprintf(" %d", c.Checkpoint)
		case JobStopped:
			s += fmt.Sprintf(" %d", c.Checkpoint)
		case FailJob:
		}
		list = append(list, s)
	}
	return strings.Join(list, "; ")
}

// script steps through inputs and compares the commands.
type scripted struct {
	in   Input
	want string
}

func run(t *testing.T, c *Coordinator, script []scripted) {
	t.Helper()
	for i, s := range script {
		if got := names(c.Step(s.in)); got != s.want {
			t.Fatalf("step %d, %#v:\ngot  %q\nwant %q", i, s.in, got, s.want)
		}
	}
}

func TestIntervalAndOneInFlight(t *testing.T) {
	c := started(t, testOptions(), &Recovery{NextID: 1})
	run(t, c, []scripted{
		{Tick{at(999)}, ""},
		{Tick{at(1000)}, "InjectBarrier 1 periodic"},
		{Tick{at(2500)}, ""}, // one in flight
		{ack(1, 1, true, 10), ""},
		{ack(1, 0, true, 10), "WriteCheckpoint 1"},
		{Tick{at(2600)}, ""},
		{ManifestDurable{1, "digest1"}, "Commit 1"},
		{Tick{at(2700)}, ""},
		{CommitDone{1}, "CheckpointComplete 1; InjectBarrier 2 periodic"}, // overdue since 2000
		{ack(2, 0, false, 10), ""},
		{ack(2, 1, false, 0), "WriteCheckpoint 2"},
		{ManifestDurable{2, "digest2"}, "Commit 2"},
		{CommitDone{2}, "CheckpointComplete 2"},
		{Tick{at(3699)}, ""}, // a second after the start of the former, which was at 2700
		{Tick{at(3000)}, ""}, // the clock goes back
		{Tick{at(3700)}, "InjectBarrier 3 periodic"},
	})
	if c.flight.Previous == nil || *c.flight.Previous != (Link{2, "digest2"}) {
		t.Errorf("checkpoint 3 follows %v", c.flight.Previous)
	}
	if got := c.flight.Time; !got.Equal(at(3700)) {
		t.Errorf("checkpoint 3 is of %v", got)
	}
}

func TestNextTick(t *testing.T) {
	c := started(t, testOptions(), &Recovery{NextID: 1})
	if next, ok := c.NextTick(); !ok || !next.Equal(at(1000)) {
		t.Errorf("%v %t", next, ok)
	}
	c.Step(Tick{at(1500)})
	if _, ok := c.NextTick(); ok {
		t.Error("a tick is wanted while a checkpoint is in flight")
	}
	opt := testOptions()
	opt.Interval = 0
	c = started(t, opt, &Recovery{NextID: 1})
	if _, ok := c.NextTick(); ok {
		t.Error("a tick is wanted without periodic checkpoints")
	}
	run(t, c, []scripted{{Tick{at(1e9)}, ""}, {StopRequested{}, "InjectBarrier 1 stop"}})
}

func TestManifestHasEverything(t *testing.T) {
	c := started(t, testOptions(), &Recovery{NextID: 5})
	c.Step(Tick{at(1000)})
	first, second := ack(5, 0, true, 10), ack(5, 1, true, 20)
	first.Snapshot.Splits = []Split{{Source: "s", Split: connectors.Split{ID: "b"}, Watermark: 1}}
	second.Snapshot.Splits = []Split{{Source: "s", Split: connectors.Split{ID: "a"}, Watermark: 2}}
	first.Snapshot.ProcessingTime, second.Snapshot.ProcessingTime = 7, 9
	first.Snapshot.Enumerators = []Enumerator{{Source: "s", State: []byte("e")}}
	second.Snapshot.Watermarks = []Watermark{{"op", 1, 3}}
	second.Snapshot.Writers = []Writer{{"out", 1, []byte("w")}}
	c.Step(second)
	commands := c.Step(first)
	m := commands[0].(WriteCheckpoint).Manifest
	want := &Manifest{Job: "j", PlanDigest: "d", Parallelism: 2, MaxParallelism: 8, Checkpoint: 5, Kind: Periodic, Time: at(1000),
		ProcessingTime: 9, Enumerators: first.Snapshot.Enumerators, Splits: []Split{second.Snapshot.Splits[0], first.Snapshot.Splits[0]},
		Watermarks:   second.Snapshot.Watermarks,
		Segments:     []Segment{*first.Snapshot.States[0].Segment, *second.Snapshot.States[0].Segment},
		Committables: []connectors.Committable{first.Snapshot.Committables[0], second.Snapshot.Committables[0]},
		Writers:      second.Snapshot.Writers}
	if !reflect.DeepEqual(m, want) {
		t.Errorf("got  %+v\nwant %+v", m, want)
	}
}

func TestFinal(t *testing.T) {
	c := started(t, testOptions(), &Recovery{NextID: 1})
	run(t, c, []scripted{
		{EndOfInput{SubtaskID{0, 1}}, ""},
		{Tick{at(1000)}, "InjectBarrier 1 periodic"},
		{EndOfInput{SubtaskID{0, 0}}, ""}, // waits for the one in flight
		{ack(1, 0, true, 10), ""},
		{ack(1, 1, true, 10), "WriteCheckpoint 1"},
		{StopRequested{}, ""}, // the end comes first
		{ManifestDurable{1, "x"}, "Commit 1"},
		{CommitDone{1}, "CheckpointComplete 1; InjectBarrier 2 final"},
		{ack(2, 0, false, 10), ""},
		{ack(2, 1, false, 10), "WriteCheckpoint 2"},
	})
	if !c.flight.Finished {
		t.Error("the final manifest is not finished")
	}
	run(t, c, []scripted{
		{ManifestDurable{2, "y"}, "Commit 2"},
		{CommitDone{2}, "CheckpointComplete 2; JobFinished 2"},
		{Tick{at(9000)}, ""},
		{CheckpointFailed{2, errors.New("late")}, ""},
	})
}

func TestStop(t *testing.T) {
	c := started(t, testOptions(), &Recovery{NextID: 1})
	first, second := ack(1, 0, true, 0), ack(1, 1, true, 0)
	first.Snapshot.Committables, second.Snapshot.Committables = nil, nil
	run(t, c, []scripted{
		{EndOfInput{SubtaskID{0, 1}}, ""},
		{StopRequested{}, "InjectBarrier 1 stop"},
		{StopRequested{}, ""},
		{EndOfInput{SubtaskID{0, 0}}, ""}, // too late: the next run takes the final checkpoint
		{first, ""},
		{second, "WriteCheckpoint 1"},
		{ManifestDurable{1, "x"}, "CheckpointComplete 1; JobStopped 1"}, // nothing to commit
		{Tick{at(5000)}, ""},
	})
}

func TestFailures(t *testing.T) {
	cause := errors.New("disk on fire")
	for name, before := range map[string][]Input{
		"before the barrier has passed": {Tick{at(1000)}},
		"with one acknowledgement":      {Tick{at(1000)}, ack(1, 0, true, 1)},
		"while the manifest is written": {Tick{at(1000)}, ack(1, 0, true, 1), ack(1, 1, true, 1)},
		"while it is committed":         {Tick{at(1000)}, ack(1, 0, true, 1), ack(1, 1, true, 1), ManifestDurable{1, "x"}},
	} {
		c := started(t, testOptions(), &Recovery{NextID: 1})
		for _, in := range before {
			c.Step(in)
		}
		got := c.Step(CheckpointFailed{1, cause})
		fail, ok := got[0].(FailJob)
		if len(got) != 1 || !ok || !errors.Is(fail.Err, cause) || !errcode.Is(fail.Err, ErrFailed) {
			t.Errorf("%s: %v", name, got)
		}
		for _, in := range []Input{ack(1, 1, true, 1), ManifestDurable{1, "x"}, CommitDone{1}, Tick{at(9000)}, StopRequested{}} {
			if got := c.Step(in); len(got) != 0 {
				t.Errorf("%s: after the failure %T gave %v", name, in, got)
			}
		}
	}
}

func TestFullDiskKeepsItsCode(t *testing.T) {
	c := started(t, testOptions(), &Recovery{NextID: 1})
	c.Step(Tick{at(1000)})
	got := c.Step(CheckpointFailed{1, WriteError("/store/x", syscall.ENOSPC)})
	e := errcode.Of(got[0].(FailJob).Err)
	if e.Code != ErrWrite || e.Code.Class != errcode.Environment || e.Place != "/store/x" {
		t.Errorf("%v", e)
	}
}

// TestMistakes has inputs that no correct engine gives: each fails the job, as an error of the program and without a code.
func TestMistakes(t *testing.T) {
	otherNode, wrongGroups, noState := ack(1, 0, true, 1), ack(1, 0, true, 1), ack(1, 0, true, 1)
	otherNode.Snapshot.States[0].Node = "other"
	wrongGroups.Snapshot.States[0].Segment.Groups = [2]int{0, 8}
	noState.Snapshot.States = nil
	stray := ack(1, 0, true, 1)
	stray.Subtask.Task = 7
	twice := []Split{{Source: "s", Split: connectors.Split{ID: "a"}}}
	a, b := ack(1, 0, true, 1), ack(1, 1, true, 1)
	a.Snapshot.Splits, b.Snapshot.Splits = twice, twice
	for name, script := range map[string][]Input{
		"a second start":                    {JobStarted{Now: at(0), Subtasks: twoSubtasks(), Recovery: &Recovery{NextID: 1}}},
		"an acknowledgement of nothing":     {ack(1, 0, true, 1)},
		"a second acknowledgement":          {Tick{at(1000)}, ack(1, 0, true, 1), ack(1, 0, true, 1)},
		"one of another checkpoint":         {Tick{at(1000)}, ack(2, 0, true, 1)},
		"one of an unknown subtask":         {Tick{at(1000)}, stray},
		"changes where everything is asked": {Tick{at(1000)}, ack(1, 0, false, 1)},
		"state of another node":             {Tick{at(1000)}, otherNode},
		"state of other groups":             {Tick{at(1000)}, wrongGroups},
		"no state":                          {Tick{at(1000)}, noState},
		"a split in two subtasks":           {Tick{at(1000)}, a, b},
		"a manifest that is not written":    {ManifestDurable{1, "x"}},
		"a manifest too early":              {Tick{at(1000)}, ManifestDurable{1, "x"}},
		"a commit of nothing":               {CommitDone{1}},
		"a commit before the manifest":      {Tick{at(1000)}, ack(1, 0, true, 1), ack(1, 1, true, 1), CommitDone{1}},
		"an end twice":                      {EndOfInput{SubtaskID{0, 0}}, EndOfInput{SubtaskID{0, 0}}},
		"an end of nobody":                  {EndOfInput{SubtaskID{3, 0}}},
	} {
		c := started(t, testOptions(), &Recovery{NextID: 1})
		var got []Command
		for _, in := range script {
			got = c.Step(in)
		}
		if len(got) != 1 {
			t.Errorf("%s: %v", name, got)
			continue
		}
		if fail, ok := got[0].(FailJob); !ok || errcode.Of(fail.Err) != nil {
			t.Errorf("%s: %v", name, got)
		}
	}
	if got := NewCoordinator(testOptions()).Step(Tick{at(0)}); !strings.HasPrefix(names(got), "FailJob") {
		t.Errorf("a tick before the start: %v", got)
	}
}

// TestBases follows the chains of two subtasks through checkpoints, against the rule written out.
func TestBases(t *testing.T) {
	opt := testOptions()
	c := started(t, opt, &Recovery{NextID: 1})
	type chain struct{ base, deltas, length int64 }
	chains := [2]chain{}
	have := [2]bool{}
	sizes := [2][]int64{{100, 30, 170, 0, 201, 10, 400, 1}, {1000, 0, 0, 1, 1, 1, 1, 1}} // bytes written at each checkpoint, in turn
	bases := 0
	for n := uint64(1); n <= 400; n++ {
		barrier := c.Step(Tick{at(int(n) * 1000)})[0].(InjectBarrier)
		for i := range 2 {
			ch := &chains[i]
			want := !have[i] || ch.length >= chainSegmentsMax || ch.deltas > chainDeltaRatio*ch.base
			if got := barrier.WantsBase(SubtaskID{0, i}, "count"); got != want {
				t.Fatalf("checkpoint %d, subtask %d with chain %+v: base=%t, want %t", n, i, *ch, got, want)
			}
			if barrier.WantsBase(SubtaskID{0, i}, "other") || barrier.WantsBase(SubtaskID{1, i}, "count") {
				t.Fatal("a base is asked of something else")
			}
			bytes := sizes[i][n%8]
			if want {
				bases++
				*ch, have[i] = chain{}, bytes > 0
				ch.base = bytes
			} else {
				ch.deltas += bytes
			}
			if bytes > 0 {
				ch.length++
			}
			c.Step(ack(n, i, want, bytes))
		}
		if got := int64(len(c.flight.exactChain("count", [2]int{0, 4}))); got != chains[0].length {
			t.Fatalf("checkpoint %d: a chain of %d, want %d", n, got, chains[0].length)
		}
		c.Step(ManifestDurable{n, "x"})
		c.Step(CommitDone{n})
	}
	if overhead := 1.035 * (1 + 1.0/chainDeltaRatio); overhead > 1.3 { // the first factor is the format's, tested there
		t.Errorf("P5: %.3f bytes for one that changed", overhead)
	}
	if bases < 20 || bases > 300 {
		t.Errorf("%d bases: the test does not test", bases)
	}
}

// TestOtherParallelismBeginsNewChains restores at another parallelism: old segments mix key groups of several subtasks.
func TestOtherParallelismBeginsNewChains(t *testing.T) {
	segment := func(id uint64, first, end int, base bool) Segment {
		return Segment{File: segment.Name(id, "count", [2]int{first, end}), Node: "count", Groups: [2]int{first, end}, Checkpoint: id, Base: base,
			Bytes: 100, XXH3: strings.Repeat("0", 32)}
	}
	for _, c := range []struct {
		name     string
		segments []Segment
		want     [2]bool
	}{
		{"the same", []Segment{segment(4, 0, 4, true), segment(4, 4, 8, true)}, [2]bool{false, false}},
		{"one range before", []Segment{segment(4, 0, 8, true)}, [2]bool{true, true}},
		{"one range as it was", []Segment{segment(4, 0, 4, true), segment(4, 4, 6, true), segment(4, 6, 8, true)}, [2]bool{false, true}},
		{"no state in one range", []Segment{segment(4, 0, 4, true), segment(5, 0, 4, false)}, [2]bool{false, true}},
	} {
		m := &Manifest{Checkpoint: 5, Segments: c.segments}
		co := started(t, testOptions(), &Recovery{NextID: 6, Restored: m, Digest: "d5"})
		barrier := co.Step(Tick{at(1000)})[0].(InjectBarrier)
		for i := range 2 {
			if got := barrier.WantsBase(SubtaskID{0, i}, "count"); got != c.want[i] {
				t.Errorf("%s: subtask %d base=%t, want %t", c.name, i, got, c.want[i])
			}
		}
		if co.flight.RestoredFrom != 5 || *co.flight.Previous != (Link{5, "d5"}) {
			t.Errorf("%s: restored from %d, follows %v", c.name, co.flight.RestoredFrom, co.flight.Previous)
		}
	}
}

func TestRetention(t *testing.T) {
	r := &Recovery{NextID: 9, Restored: &Manifest{Checkpoint: 7},
		Kept:     []Kept{{5, []string{"seg-00000005-a-0-8"}}, {7, []string{"seg-00000005-a-0-8", "seg-00000007-a-0-8"}}},
		Leftover: []Leftover{{"seg-00000004-a-0-8", 4}, {"chk-00000006.manifest", 6}, {"chk-00000008.aside", 8}, {"seg-00000008-a-0-8", 8}}}
	c := started(t, testOptions(), r)
	step := func(id uint64) string {
		c.Step(Tick{c.nextAt})
		c.Step(ack(id, 0, true, 1))
		c.Step(ack(id, 1, true, 1))
		c.Step(ManifestDurable{id, "x"})
		return names(c.Step(CommitDone{id}))
	}
	for id, want := range []string{
		"CheckpointComplete 9; Expire [chk-00000005.manifest chk-00000006.manifest] [seg-00000004-a-0-8]",
		"CheckpointComplete 10; Expire [chk-00000007.manifest] [chk-00000008.aside seg-00000005-a-0-8 seg-00000007-a-0-8 seg-00000008-a-0-8]",
		"CheckpointComplete 11; Expire [chk-00000009.manifest] [seg-00000009-count-0-4 seg-00000009-count-4-8]",
	} {
		if got := step(uint64(9 + id)); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
}

// TestExhaustive goes through every order of inputs of a small job to a depth, with a checker of its own after each step.
func TestExhaustive(t *testing.T) {
	opt := testOptions()
	opt.Keep = 1
	c := started(t, opt, &Recovery{NextID: 1})
	x := explorer{t: t}
	x.explore(c, world{now: 0}, 10)
	t.Logf("%d states, %d finished, %d stopped, %d failed", x.states, x.finished, x.stopped, x.failed)
	if x.finished == 0 || x.stopped == 0 || x.failed == 0 {
		t.Error("an end was never reached")
	}
}

// world is what the checker knows without the coordinator: what is in flight and what has been promised.
type world struct {
	now       int // ms
	flight    uint64
	kind      Kind
	acked     [2]bool
	writing   bool
	durable   uint64
	commit    bool
	published uint64 // every checkpoint up to it
	ended     [2]bool
	stop      bool
	over      string
	lastStart int
}

type explorer struct {
	t                                 *testing.T
	states, finished, stopped, failed int
}

func (x *explorer) explore(c *Coordinator, w world, depth int) {
	x.states++
	switch w.over {
	case "finished":
		x.finished++
		return
	case "stopped":
		x.stopped++
		return
	case "failed":
		x.failed++
		return
	}
	if depth == 0 {
		return
	}
	for _, in := range w.possible() {
		next, after := cloneCoordinator(c), w
		after.happened(in)
		for _, command := range next.Step(in) {
			if wrong := after.obey(command); wrong != "" {
				x.t.Fatalf("after %#v in %+v: %s", in, w, wrong)
			}
		}
		x.explore(next, after, depth-1)
	}
}

// possible lists the inputs that a correct engine may give.
func (w *world) possible() []Input {
	list := []Input{Tick{at(w.now + 700)}}
	for i := range 2 {
		if !w.ended[i] {
			list = append(list, EndOfInput{SubtaskID{0, i}})
		}
		if w.flight != 0 && !w.acked[i] {
			list = append(list, ack(w.flight, i, true, 1))
		}
	}
	if !w.stop {
		list = append(list, StopRequested{})
	}
	if w.writing {
		list = append(list, ManifestDurable{w.flight, "x"})
	}
	if w.commit {
		list = append(list, CommitDone{w.flight})
	}
	if w.flight != 0 {
		list = append(list, CheckpointFailed{w.flight, errors.New("x")})
	}
	return list
}

func (w *world) happened(in Input) {
	switch in := in.(type) {
	case Tick:
		w.now += 700
	case EndOfInput:
		w.ended[in.Subtask.Index] = true
	case StopRequested:
		w.stop = true
	case Acknowledged:
		w.acked[in.Subtask.Index] = true
	case ManifestDurable:
		w.writing, w.durable = false, w.flight
	case CommitDone:
		w.commit, w.published = false, w.flight
	}
}

// obey checks a command against the invariants and carries it out.
func (w *world) obey(command Command) string {
	switch c := command.(type) {
	case InjectBarrier:
		allEnded := w.ended[0] && w.ended[1]
		switch {
		case w.flight != 0:
			return "two checkpoints in flight"
		case c.Checkpoint != w.durable+1:
			return fmt.Sprintf("checkpoint %d after %d", c.Checkpoint, w.durable)
		case (c.Kind == Final) != allEnded:
			return fmt.Sprintf("%s with ends %v", c.Kind, w.ended)
		case !allEnded && (c.Kind == Stop) != w.stop:
			return fmt.Sprintf("%s with stop=%t", c.Kind, w.stop)
		case c.Kind == Periodic && w.now-w.lastStart < 1000:
			return fmt.Sprintf("a checkpoint %d ms after the start of the former", w.now-w.lastStart)
		}
		w.flight, w.kind, w.acked, w.lastStart = c.Checkpoint, c.Kind, [2]bool{}, w.now
	case WriteCheckpoint:
		switch {
		case w.acked != [2]bool{true, true}:
			return "I1: a manifest without the part of a subtask"
		case len(c.Manifest.Segments) != 2 || c.Manifest.Segments[0].Checkpoint != w.flight || c.Manifest.Segments[1].Checkpoint != w.flight:
			return "I3: a manifest with other segments than were acknowledged"
		case c.Manifest.Finished != (w.kind == Final):
			return "finished is wrong"
		}
		w.writing = true
	case Commit:
		if w.durable != c.Checkpoint || len(c.Committables) != 2 {
			return "I2: a commit before the manifest is durable"
		}
		w.commit = true
	case CheckpointComplete:
		if w.published != c.Manifest.Checkpoint || w.durable != w.published {
			return "I3: complete before it is durable and published"
		}
		w.flight = 0
	case Expire:
		if slices.Contains(c.Manifests, ManifestName(w.durable)) || slices.ContainsFunc(c.Others, func(f string) bool {
			name, _ := ParseName(f)
			return name.Checkpoint >= w.durable
		}) {
			return "the newest checkpoint expires"
		}
	case JobFinished:
		if w.kind != Final || w.published != c.Checkpoint {
			return "finished too early"
		}
		w.over = "finished"
	case JobStopped:
		if w.kind != Stop || w.published != c.Checkpoint {
			return "stopped too early"
		}
		w.over = "stopped"
	case FailJob:
		if !errcode.Is(c.Err, ErrFailed) {
			return fmt.Sprintf("the coordinator calls a possible input a mistake: %v", c.Err)
		}
		w.over = "failed"
	}
	return ""
}

func cloneCoordinator(c *Coordinator) *Coordinator {
	n := *c
	n.ended, n.base, n.acks = maps.Clone(c.ended), maps.Clone(c.base), maps.Clone(c.acks)
	n.kept, n.leftover = slices.Clone(c.kept), slices.Clone(c.leftover)
	if c.flight != nil {
		m := *c.flight
		m.Segments, m.Committables = slices.Clone(m.Segments), slices.Clone(m.Committables)
		n.flight = &m
		if c.last == c.flight {
			n.last = &m
		}
	}
	return &n
}
