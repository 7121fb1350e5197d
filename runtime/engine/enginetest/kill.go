package enginetest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tidemill/tidemill/internal/failpoint"
	"github.com/tidemill/tidemill/internal/vfs"
	"github.com/tidemill/tidemill/runtime/checkpoint"
	"github.com/tidemill/tidemill/runtime/engine"
	"github.com/tidemill/tidemill/runtime/operator"
	"github.com/tidemill/tidemill/runtime/record"
)

// testKill ends jobs abruptly at random moments and restores them at random parallelism, until they finish.
func testKill(t *testing.T, s suite) {
	for seed := range uint64(16) {
		rng := rand.New(rand.NewPCG(seed, 7))
		n := &Numbers{Seed: seed, Splits: 1 + rng.IntN(5), Rows: 3000, Keys: 1 + rng.IntN(100), Step: 3, Disorder: rng.Int64N(800)}
		n.Tap = NewTap(n.Rows - 1)
		want := SumsRows(n)
		out, files := NewLedger(), vfs.NewMem()
		for kills := 1 + rng.IntN(4); kills >= 0; kills-- {
			watch := &watermarks{seen: map[int]int64{}, restored: record.WatermarkNone}
			p := slow(SumsPlan(n, out, 1+rng.IntN(4)))
			p.Nodes[2].Operator.Native = func() operator.Operator { return &Sums{Went: watch.went} }
			k := newKiller(t.Context(), 1+rng.IntN(6), time.Duration(rng.IntN(2000))*time.Microsecond)
			if kills == 0 {
				n.Tap.Open(n.Rows)
				k.after = 1 << 30
			}
			j, err := s.newEngine(files).Deploy(k.ctx, p, engine.Options{Notify: func(e engine.Event) {
				if r, ok := e.(engine.Restored); ok {
					watch.restore(t, r.Manifest)
				}
				k.notify(e)
			}})
			if err != nil {
				t.Fatalf("seed %d: %v", seed, err)
			}
			_, err = j.Wait()
			k.cancel()
			if (kills == 0) != (err == nil) || kills > 0 && !errors.Is(err, context.Canceled) {
				t.Fatalf("seed %d: %v", seed, err)
			}
			watch.check(t, seed)
			requireSubset(t, seed, out, want)
		}
		requireRows(t, out, want)
	}
}

// killer ends a job some time after a number of checkpoints.
type killer struct {
	ctx    context.Context
	cancel context.CancelFunc
	after  int
	delay  time.Duration
}

func newKiller(ctx context.Context, after int, delay time.Duration) *killer {
	k := &killer{after: after, delay: delay}
	k.ctx, k.cancel = context.WithCancel(ctx)
	return k
}

func (k *killer) notify(e engine.Event) {
	if _, ok := e.(engine.Completed); !ok {
		return
	}
	if k.after--; k.after == 0 {
		time.AfterFunc(k.delay, k.cancel)
	}
}

// watermarks watches that the event time of Sums goes forward in each subtask, from what was restored on (I6).
type watermarks struct {
	mu       sync.Mutex
	restored int64
	seen     map[int]int64
	backs    []string
}

// restore notes the watermark that all subtasks of Sums had at a checkpoint: behind an exchange they all have the same one.
func (w *watermarks) restore(t *testing.T, m *checkpoint.Manifest) {
	t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	first := true
	for _, at := range m.Watermarks {
		if at.Node != "sums" {
			continue
		}
		if !first && at.Watermark != w.restored {
			t.Errorf("subtasks have watermarks %d and %d at one checkpoint", at.Watermark, w.restored)
		}
		w.restored, first = at.Watermark, false
	}
}

func (w *watermarks) went(subtask int, at int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	last, any := w.seen[subtask]
	if !any {
		last = w.restored
	}
	if at <= last {
		w.backs = append(w.backs, fmt.Sprintf("subtask %d went from %d to %d", subtask, last, at))
	}
	w.seen[subtask] = at
}

func (w *watermarks) check(t *testing.T, seed uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, b := range w.backs {
		t.Errorf("seed %d: %s", seed, b)
	}
}

// testFailpoints ends a job in each named window.
func testFailpoints(t *testing.T, s suite) {
	for i, name := range failpoint.Names() {
		if strings.HasPrefix(name, "commit.") {
			continue // windows of the file sink
		}
		for hit := 1; hit <= 4; hit++ {
			n := &Numbers{Seed: uint64(i), Splits: 2, Rows: 2000, Keys: 30, Step: 10, Disorder: 200, Tap: NewTap(100)}
			out, files := NewLedger(), vfs.NewMem()
			ctx, cancel := context.WithCancel(t.Context())
			reached := make(chan struct{})
			failpoint.Arm(name, hit, func() {
				cancel()
				close(reached)
			})
			j, err := s.newEngine(files).Deploy(ctx, slow(SumsPlan(n, out, 2)), engine.Options{Notify: n.Tap.Drip(100)})
			if err != nil {
				t.Fatal(err)
			}
			_, err = j.Wait()
			failpoint.Arm("", 0, nil)
			select {
			case <-reached:
			default:
				t.Fatalf("%s was not reached %d times", name, hit)
			}
			if err == nil {
				t.Fatalf("%s: the job ended well", name)
			}
			requireSubset(t, uint64(i), out, SumsRows(n))
			n.Tap.Open(n.Rows)
			if _, err := run(t, s.newEngine(files), SumsPlan(n, out, 1), engine.Options{}); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			requireRows(t, out, SumsRows(n))
			cancel()
		}
	}
}
