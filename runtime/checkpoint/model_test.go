package checkpoint_test

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/tidemill/tidemill/connectors"
	"github.com/tidemill/tidemill/internal/errcode"
	"github.com/tidemill/tidemill/internal/failpoint"
	"github.com/tidemill/tidemill/internal/vfs"
	"github.com/tidemill/tidemill/runtime/checkpoint"
	"github.com/tidemill/tidemill/runtime/checkpoint/store/dir"
	"github.com/tidemill/tidemill/runtime/record"
	"github.com/tidemill/tidemill/runtime/state"
)

// TestJobModel runs small jobs with random interleavings, losses of power, damage and other parallelisms over the real store in a
// file system that forgets what was not synced. Each restored state must be what a replay of the input up to the restored
// positions gives (I1), output must be there once and never before its checkpoint (I2), a checkpoint that was complete must be
// there after a crash (I3), and damage must be reported by file (I4).
func TestJobModel(t *testing.T) {
	runs := uint64(100)
	if testing.Short() {
		runs = 40
	}
	totals := map[string]int{}
	for seed := range runs {
		j := newJob(t, seed)
		for life := 0; !j.finished; life++ {
			if life == 60 {
				j.fatalf("the job does not end")
			}
			j.life(life)
		}
		j.checkOutput(j.total())
		for what, n := range j.seen {
			totals[what] += n
		}
	}
	t.Logf("seen: %v", totals)
	for _, what := range []string{"crash", "crash inside", "stop", "finish", "fallback", "none left", "other parallelism", "delta restored", "failure",
		"expired", "commit cut", "completed by the crash"} {
		if totals[what] == 0 {
			t.Errorf("no run came to: %s", what)
		}
	}
}

const modelGroups = 8 // key groups, each with the state of one split

// job is the world that outlives a process: disk, output, and what the checker knows.
type job struct {
	t    *testing.T
	seed uint64
	rng  *rand.Rand
	disk *vfs.Mem

	records  [modelGroups]int // of each split
	output   map[uint64][]int // published records, as split*1000+record, by checkpoint
	durable  uint64           // newest checkpoint of which PutManifest returned
	inFlight uint64           // one whose manifest may or may not be durable
	pos      map[uint64][modelGroups]int
	names    map[uint64]map[string]bool // files that the checkpoint consists of
	lastPar  int
	finished bool
	seen     map[string]int
}

func newJob(t *testing.T, seed uint64) *job {
	j := &job{t: t, seed: seed, rng: rand.New(rand.NewPCG(seed, 77)), disk: vfs.NewMem(), output: map[uint64][]int{},
		pos: map[uint64][modelGroups]int{}, names: map[uint64]map[string]bool{}, seen: map[string]int{}}
	for i := range j.records {
		j.records[i] = j.rng.IntN(60)
	}
	return j
}

func (j *job) fatalf(format string, args ...any) {
	j.t.Helper()
	j.t.Fatalf("seed %d: %s", j.seed, fmt.Sprintf(format, args...))
}

func (j *job) total() (sum int) {
	for _, n := range j.records {
		sum += n
	}
	return sum
}

func (j *job) checkOutput(want int) {
	j.t.Helper()
	count := map[int]int{}
	for _, records := range j.output {
		for _, r := range records {
			count[r]++
			if count[r] > 1 {
				j.fatalf("I2: record %d was published %d times", r, count[r])
			}
		}
	}
	if len(count) != want {
		j.fatalf("I2: %d records were published, want %d", len(count), want)
	}
}

// powerLoss is what a failpoint throws.
type powerLoss struct{}

// life is one process: from Recover to a crash, a failure, a stop or the end.
func (j *job) life(n int) {
	parallelism := 1 + j.rng.IntN(4)
	damagedFile := ""
	var undo func()
	if n > 0 && j.rng.IntN(4) == 0 {
		damagedFile, undo = j.damage()
	}
	store, err := dir.Open(j.disk, "/data/store")
	if err != nil {
		j.fatalf("opening: %v", err)
	}
	want := checkpoint.Identity{Job: "model", PlanDigest: "digest", MaxParallelism: modelGroups}
	recovery, err := checkpoint.Recover(store, want)
	if undo != nil && errcode.Is(err, checkpoint.ErrNoneLeft) {
		j.seen["none left"]++
		j.expectNoneLeft(damagedFile)
		undo()
		store.Close()
		return
	}
	if err != nil {
		j.fatalf("recovering: %v", err)
	}
	p := &process{job: j, store: store, parallelism: parallelism}
	j.checkRecovery(recovery, damagedFile)
	p.start(recovery)
	at := failpoint.Names()[1+j.rng.IntN(4)] // those of this package
	if j.rng.IntN(2) == 0 {
		failpoint.Arm(at, 1+j.rng.IntN(6), func() { panic(powerLoss{}) })
	}
	defer failpoint.Arm("", 0, nil)
	defer func() {
		if r := recover(); r != nil {
			if _, ok := r.(powerLoss); !ok {
				panic(r)
			}
			j.seen["crash inside"]++
			j.crash()
		}
	}()
	p.run()
	if err := store.Close(); err != nil {
		j.fatalf("closing: %v", err)
	}
}

func (j *job) crash() {
	if j.rng.IntN(3) == 0 {
		j.disk.Crash(nil)
	} else {
		j.disk.Crash(j.rng)
	}
}

// damage flips a byte of a file that the newest checkpoint needs. undo puts the file back.
func (j *job) damage() (file string, undo func()) {
	newest := j.durable
	if j.inFlight > newest {
		return "", nil // it is not known which checkpoint will be found
	}
	if newest == 0 {
		return "", nil
	}
	files := slices.Sorted(maps.Keys(j.names[newest]))
	file = files[j.rng.IntN(len(files))]
	path := vfs.Join("/data/store", file)
	content, err := vfs.ReadFile(j.disk, path)
	if err != nil {
		j.fatalf("I3: a file of the newest complete checkpoint %d: %v", newest, err)
	}
	write := func(b []byte) {
		f, err := j.disk.Create(path)
		if err == nil {
			_, err = f.Write(b)
		}
		if err == nil {
			err = f.Sync()
		}
		if err != nil {
			j.fatalf("%v", err)
		}
	}
	bad := slices.Clone(content)
	bad[j.rng.IntN(len(bad))] ^= byte(1 + j.rng.IntN(255))
	write(bad)
	return file, func() { write(content) }
}

func (j *job) expectNoneLeft(file string) {
	for id, names := range j.names {
		if !names[file] {
			j.fatalf("I4: checkpoint %d does not need %s, but no checkpoint was restored", id, file)
		}
	}
}

// checkRecovery compares what was chosen with what the checker knows to be complete and whole.
func (j *job) checkRecovery(r *checkpoint.Recovery, damagedFile string) {
	restored := uint64(0)
	if r.Restored != nil {
		restored = r.Restored.Checkpoint
	}
	switch {
	case damagedFile != "":
		want := uint64(0)
		for id, names := range j.names {
			if !names[damagedFile] {
				want = max(want, id)
			}
		}
		if restored != want || len(r.Skipped) == 0 {
			j.fatalf("I4: %s is damaged: checkpoint %d was restored, skipped %v, want %d", damagedFile, restored, r.Skipped, want)
		}
		for _, s := range r.Skipped {
			if s.Damage[0].File != damagedFile {
				j.fatalf("I4: %s is damaged, reported is %v", damagedFile, s.Damage)
			}
		}
		j.seen["fallback"]++
	case len(r.Skipped) > 0:
		j.fatalf("nothing is damaged, skipped %v", r.Skipped)
	case restored != j.durable && restored != j.inFlight:
		j.fatalf("I3: checkpoint %d was restored; %d was complete, %d in flight", restored, j.durable, j.inFlight)
	case restored > j.durable:
		j.seen["completed by the crash"]++
	}
	for id := range j.names {
		if id > restored {
			delete(j.names, id)
		} else if id < restored && !slices.ContainsFunc(r.Kept, func(k checkpoint.Kept) bool { return k.Checkpoint == id }) {
			j.fatalf("checkpoint %d is not kept: %v", id, r.Kept)
		}
	}
	// The committer: publish what the checkpoint holds, take back what came after it.
	for id := range j.output {
		if id > restored {
			delete(j.output, id)
		}
	}
	sum := 0
	if r.Restored != nil {
		j.publish(r.Restored.Committables, 1<<30)
		for _, n := range j.pos[restored] {
			sum += n
		}
	}
	j.durable, j.inFlight = restored, 0
	j.checkOutput(sum)
}

// publish makes the first n committables visible, those that already are but once.
func (j *job) publish(list []connectors.Committable, n int) {
	for i, c := range list {
		if i == n {
			return
		}
		var records []int
		if err := json.Unmarshal(c.Data, &records); err != nil {
			j.fatalf("%v", err)
		}
		for _, r := range records {
			if !slices.Contains(j.output[c.Checkpoint], r) {
				j.output[c.Checkpoint] = append(j.output[c.Checkpoint], r)
			}
		}
	}
}

// process is what a crash ends.
type process struct {
	*job
	store       *dir.Store
	parallelism int
	coordinator *checkpoint.Coordinator
	subtasks    []*modelSubtask
	now         time.Time
	todo        []func() // I/O asked for, done at random times
	barrier     uint64   // the checkpoint in flight, 0 for none
	ended       bool
}

// modelSubtask reads the splits of its key groups, keeps their state and writes them to the sink.
type modelSubtask struct {
	id      checkpoint.SubtaskID
	groups  [2]int
	pos     [modelGroups]int
	state   modelState
	changes []modelChange // since the last freeze
	pending []int         // records written to the sink since the last barrier
	barrier *checkpoint.InjectBarrier
	stopped bool
	end     bool
}

var modelSpace = state.Space{Kind: state.SpaceMap, Name: "seen", MapKey: []record.Field{{Name: "k", Type: record.I64}},
	Value: []record.Field{{Name: "v", Type: record.I64}}}

// modelState maps key, then map key, to a value.
type modelState map[string]map[string]string

type modelChange struct {
	key, sub, value string
	op              int // 0 put, 1 delete, 2 delete all of the key
}

func (s modelState) apply(c modelChange) {
	switch c.op {
	case 0:
		if s[c.key] == nil {
			s[c.key] = map[string]string{}
		}
		s[c.key][c.sub] = c.value
	case 1:
		delete(s[c.key], c.sub)
	case 2:
		delete(s, c.key)
	}
	if len(s[c.key]) == 0 {
		delete(s, c.key)
	}
}

// modelKeys are three keys of each key group.
var modelKeys = func() (keys [modelGroups][]string) {
	for i, missing := 0, modelGroups*3; missing > 0; i++ {
		key := binary.BigEndian.AppendUint64([]byte{1}, uint64(i))
		if g := record.KeyGroup(record.HashKey(key), modelGroups); len(keys[g]) < 3 {
			keys[g] = append(keys[g], string(key))
			missing--
		}
	}
	return keys
}()

// changeOf is what a record does to the state: the same each time.
func (j *job) changeOf(split, n int) modelChange {
	rng := rand.New(rand.NewPCG(j.seed*1000+uint64(split), uint64(n)))
	c := modelChange{key: modelKeys[split][rng.IntN(3)], sub: string(rune('a' + rng.IntN(4))), value: fmt.Sprint(n)}
	c.op = []int{0, 0, 0, 0, 0, 1, 1, 2}[rng.IntN(8)]
	if c.op == 2 {
		c.sub = ""
	}
	return c
}

func (p *process) start(r *checkpoint.Recovery) {
	p.now = time.Unix(1_800_000_000, 0)
	opt := checkpoint.Options{Identity: checkpoint.Identity{Job: "model", PlanDigest: "digest", MaxParallelism: modelGroups},
		Parallelism: p.parallelism, Interval: time.Second, Keep: 3}
	p.coordinator = checkpoint.NewCoordinator(opt)
	var list []checkpoint.Subtask
	for i := range p.parallelism {
		first, end := record.GroupRange(i, p.parallelism, modelGroups)
		s := &modelSubtask{id: checkpoint.SubtaskID{Task: 0, Index: i}, groups: [2]int{first, end}, state: modelState{}}
		if r.Restored != nil {
			p.restore(s, r.Restored)
		}
		p.subtasks = append(p.subtasks, s)
		list = append(list, checkpoint.Subtask{ID: s.id, Source: true, States: []checkpoint.StateRange{{Node: "seen", Groups: s.groups}}})
	}
	if r.Restored != nil && p.lastPar != p.parallelism {
		p.seen["other parallelism"]++
	}
	p.lastPar = p.parallelism
	p.carryOut(p.coordinator.Step(checkpoint.JobStarted{Now: p.now, Subtasks: list, Recovery: r}))
}

// restore reads a subtask's part and compares it with a replay of the input up to the restored positions.
func (p *process) restore(s *modelSubtask, m *checkpoint.Manifest) {
	for _, split := range m.Splits {
		var g int
		fmt.Sscan(split.Split.ID, &g)
		if s.groups[0] <= g && g < s.groups[1] {
			s.pos[g] = int(split.Position.Records)
		}
	}
	if len(m.Chain("seen", s.groups)) > 1 {
		p.seen["delta restored"]++
	}
	if err := checkpoint.RestoreState(p.store, m, "seen", s.groups, modelBackend{to: s.state}); err != nil {
		p.fatalf("restoring: %v", err)
	}
	want := modelState{}
	for g := s.groups[0]; g < s.groups[1]; g++ {
		if s.pos[g] != p.pos[m.Checkpoint][g] {
			p.fatalf("I1: split %d is restored at %d, the checkpoint was taken at %d", g, s.pos[g], p.pos[m.Checkpoint][g])
		}
		for n := range s.pos[g] {
			want.apply(p.changeOf(g, n))
		}
	}
	if fmt.Sprint(s.state) != fmt.Sprint(want) {
		p.fatalf("I1: restored state of groups %v at %v:\ngot  %v\nwant %v", s.groups, s.pos, s.state, want)
	}
}

// modelBackend is a back-end that can only be restored.
type modelBackend struct {
	state.Backend
	to modelState
}

func (b modelBackend) Restore(from state.Reader, groups [2]int, maxParallelism int) error {
	for {
		e, err := from.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if g := record.KeyGroup(record.HashKey(e.Key), maxParallelism); g < groups[0] || g >= groups[1] {
			continue
		}
		c := modelChange{key: string(e.Key), sub: string(e.Sub), value: string(e.Value)}
		if e.Deleted {
			c.op = 1
			if len(e.Sub) == 0 {
				c.op = 2
			}
		}
		b.to.apply(c)
	}
}

// run does one thing after the other, chosen at random, until the process is over.
func (p *process) run() {
	for !p.ended {
		switch n := p.rng.IntN(100); {
		case n < 45:
			p.work(p.subtasks[p.rng.IntN(len(p.subtasks))])
		case n < 65:
			p.passBarrier(p.subtasks[p.rng.IntN(len(p.subtasks))])
		case n < 85 && len(p.todo) > 0:
			next := p.todo[0]
			p.todo = p.todo[1:]
			next()
		case n < 97:
			p.now = p.now.Add(time.Duration(p.rng.IntN(400)) * time.Millisecond)
			p.step(checkpoint.Tick{Now: p.now})
		case n < 98 && p.rng.IntN(6) == 0:
			p.step(checkpoint.StopRequested{})
		case n < 99 && p.rng.IntN(4) == 0:
			p.seen["crash"]++
			p.crash()
			p.ended = true
		case p.rng.IntN(6) == 0 && p.barrier != 0:
			p.seen["failure"]++
			p.step(checkpoint.CheckpointFailed{Checkpoint: p.barrier, Err: errors.New("chance")})
		}
	}
}

func (p *process) step(in checkpoint.Input) { p.carryOut(p.coordinator.Step(in)) }

// work reads a record, or notices the end.
func (p *process) work(s *modelSubtask) {
	if s.stopped || s.end {
		return
	}
	for g := s.groups[0]; g < s.groups[1]; g++ {
		if s.pos[g] < p.records[g] {
			change := p.changeOf(g, s.pos[g])
			s.state.apply(change)
			s.changes = append(s.changes, change)
			s.pending = append(s.pending, g*1000+s.pos[g])
			s.pos[g]++
			return
		}
	}
	s.end = true
	p.step(checkpoint.EndOfInput{Subtask: s.id})
}

// passBarrier takes a subtask's snapshot; what it wrote to the store is asked for, and acknowledged later.
func (p *process) passBarrier(s *modelSubtask) {
	b := s.barrier
	if b == nil {
		return
	}
	s.barrier = nil
	s.stopped = b.Kind != checkpoint.Periodic
	base := b.WantsBase(s.id, "seen")
	data, err := json.Marshal(s.pending)
	if err != nil {
		p.fatalf("%v", err)
	}
	snapshot := checkpoint.Snapshot{Committables: []connectors.Committable{{Sink: "out", Subtask: s.id.Index, Checkpoint: b.Checkpoint, Data: data}}}
	positions := p.pos[b.Checkpoint]
	for g := s.groups[0]; g < s.groups[1]; g++ {
		positions[g] = s.pos[g]
		snapshot.Splits = append(snapshot.Splits, checkpoint.Split{Source: "in", Split: connectors.Split{ID: fmt.Sprint(g)},
			Position: record.Position{Records: int64(s.pos[g])}})
	}
	p.pos[b.Checkpoint] = positions
	changes := s.changes
	if base {
		changes = nil
		for _, key := range slices.Sorted(maps.Keys(s.state)) {
			for _, sub := range slices.Sorted(maps.Keys(s.state[key])) {
				changes = append(changes, modelChange{key: key, sub: sub, value: s.state[key][sub]})
			}
		}
	}
	s.changes, s.pending = nil, nil
	of := checkpoint.SegmentOf{Checkpoint: b.Checkpoint, Node: "seen", Groups: s.groups, MaxParallelism: modelGroups, Base: base}
	p.todo = append(p.todo, func() {
		segment, err := checkpoint.WriteSegment(p.store, of, func(to state.Writer) error { return writeChanges(to, changes) })
		if err != nil {
			p.fatalf("writing a segment: %v", err)
		}
		snapshot.States = []checkpoint.StateSnapshot{{Node: "seen", Base: base, Segment: segment}}
		p.step(checkpoint.Acknowledged{Checkpoint: b.Checkpoint, Subtask: s.id, Snapshot: snapshot})
	})
}

func writeChanges(to state.Writer, changes []modelChange) error {
	if err := to.Begin(modelSpace); err != nil {
		return err
	}
	for _, c := range changes {
		var err error
		if c.op == 0 {
			err = to.Put([]byte(c.key), []byte(c.sub), []byte(c.value))
		} else {
			err = to.Delete([]byte(c.key), []byte(c.sub))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (p *process) carryOut(commands []checkpoint.Command) {
	for _, command := range commands {
		switch c := command.(type) {
		case checkpoint.InjectBarrier:
			if p.barrier != 0 {
				p.fatalf("checkpoint %d begins while %d is in flight", c.Checkpoint, p.barrier)
			}
			p.barrier = c.Checkpoint
			for _, s := range p.subtasks {
				s.barrier = &c
			}
		case checkpoint.WriteCheckpoint:
			p.todo = append(p.todo, func() { p.writeManifest(c.Manifest) })
		case checkpoint.Commit:
			if p.durable != c.Checkpoint {
				p.fatalf("I2: commit of %d, durable is %d", c.Checkpoint, p.durable)
			}
			p.todo = append(p.todo, func() { p.commit(c) })
		case checkpoint.CheckpointComplete:
			p.barrier = 0
			if p.durable != c.Manifest.Checkpoint {
				p.fatalf("I3: checkpoint %d is complete, durable is %d", c.Manifest.Checkpoint, p.durable)
			}
		case checkpoint.Expire:
			p.expire(c)
		case checkpoint.JobFinished:
			p.seen["finish"]++
			p.finished, p.ended = true, true
		case checkpoint.JobStopped:
			p.seen["stop"]++
			p.ended = true
		case checkpoint.FailJob:
			if !errcode.Is(c.Err, checkpoint.ErrFailed) {
				p.fatalf("%v", c.Err)
			}
			p.ended = true
		}
	}
}

func (p *process) writeManifest(m *checkpoint.Manifest) {
	files := map[string]bool{checkpoint.ManifestName(m.Checkpoint): true}
	for _, s := range m.Segments {
		files[s.File] = true
	}
	p.inFlight, p.names[m.Checkpoint] = m.Checkpoint, files
	digest, err := checkpoint.WriteManifest(p.store, m)
	if err != nil {
		p.fatalf("writing a manifest: %v", err)
	}
	p.durable, p.inFlight = m.Checkpoint, 0
	p.step(checkpoint.ManifestDurable{Checkpoint: m.Checkpoint, Digest: digest})
}

func (p *process) commit(c checkpoint.Commit) {
	if p.rng.IntN(20) == 0 { // in the middle
		p.seen["commit cut"]++
		p.publish(c.Committables, p.rng.IntN(len(c.Committables)+1))
		p.crash()
		p.ended = true
		return
	}
	p.publish(c.Committables, len(c.Committables))
	p.step(checkpoint.CommitDone{Checkpoint: c.Checkpoint})
}

func (p *process) expire(c checkpoint.Expire) {
	gone := map[string]bool{}
	for _, file := range slices.Concat(c.Manifests, c.Others) {
		gone[file] = true
	}
	if err := p.store.Delete(c.Manifests, c.Others); err != nil {
		p.fatalf("expiring: %v", err)
	}
	for id, files := range p.names {
		if gone[checkpoint.ManifestName(id)] {
			delete(p.names, id)
			p.seen["expired"]++
			continue
		}
		for file := range files {
			if gone[file] {
				p.fatalf("%s of checkpoint %d, which is kept, has been deleted", file, id)
			}
		}
	}
	if len(p.names) > 3 {
		p.fatalf("%d checkpoints are kept", len(p.names))
	}
}
