package source

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"time"

	"github.com/tidemill/tidemill/connectors"
	"github.com/tidemill/tidemill/runtime/exchange"
	"github.com/tidemill/tidemill/runtime/record"
)

// What a fetcher may read ahead of its task (I8), in rows and in reads; at least one read is always taken.
const (
	aheadRowsMax  = 2 * record.RowsMax
	aheadReadsMax = 64
)

// idlePause is the time between two looks at a split that has nothing now.
const idlePause = 10 * time.Millisecond

// read is the outcome of one Reader.Next.
type read struct {
	batch    *record.Batch // nil where there is no good record
	bad      []connectors.BadRecord
	after    record.Position
	greatest int64 // event time of batch
	at       time.Time
}

// fetcher reads one split on a goroutine of its own into a bounded queue.
type fetcher struct {
	cfg    *Config
	split  Split
	origin *record.Origin
	task   *exchange.Signal
	space  *exchange.Signal // the queue has room again

	mu    sync.Mutex
	reads []read
	rows  int
	err   error // io.EOF: the split has ended
}

func newFetcher(cfg *Config, split Split, task *exchange.Signal) *fetcher {
	return &fetcher{cfg: cfg, split: split, origin: &record.Origin{Source: cfg.Name, Split: split.Split.ID}, task: task,
		space: exchange.NewSignal()}
}

// run reads until the split ends, an error, or the end of ctx.
func (f *fetcher) run(ctx context.Context) {
	defer func() {
		if r := recover(); r != nil {
			f.end(fmt.Errorf("the connector panicked: %v\n%s", r, debug.Stack()))
		}
	}()
	reader, err := f.cfg.Connector.Open(ctx, f.split.Split, f.split.Position)
	if err != nil {
		if ctx.Err() == nil {
			f.end(err)
		}
		return
	}
	defer reader.Close()
	for hint := record.RowsMax; ; {
		want, ok := f.grant(ctx)
		if !ok {
			return
		}
		r, taken, err := f.next(ctx, reader, want, min(hint, want))
		if f.cfg.Rate != nil {
			f.cfg.Rate.giveBack(want - taken)
		}
		if taken > 0 {
			hint = min(max(2*taken, 64), record.RowsMax)
			if !f.put(ctx, r) {
				return
			}
		}
		switch {
		case errors.Is(err, connectors.ErrIdle):
			if !f.sleep(ctx, idlePause) {
				return
			}
		case err != nil:
			if ctx.Err() == nil {
				f.end(err)
			}
			return
		}
	}
}

// grant waits for the right to read and returns to how many records; false at the end of ctx.
func (f *fetcher) grant(ctx context.Context) (int, bool) {
	if f.cfg.Rate == nil {
		return record.RowsMax, ctx.Err() == nil
	}
	for {
		n, wait := f.cfg.Rate.take(record.RowsMax)
		if n > 0 {
			return n, ctx.Err() == nil
		}
		if !f.sleep(ctx, wait) {
			return 0, false
		}
	}
}

func (f *fetcher) sleep(ctx context.Context, d time.Duration) bool {
	timer := f.cfg.Clock.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C():
		return true
	}
}

// next reads up to max records and gives them event time and origin; taken counts bad records too.
func (f *fetcher) next(ctx context.Context, reader connectors.Reader, max, room int) (r read, taken int, err error) {
	b := record.NewBatch(f.cfg.Schema, room)
	err = reader.Next(ctx, b, max, &r.bad)
	taken = b.Rows + len(r.bad)
	r.after, r.greatest = reader.Position(), record.WatermarkNone
	if b.Rows > 0 {
		b.Runs = []record.Run{{Origin: f.origin}}
		if f.cfg.EventTime != nil {
			b, r.greatest = setEventTime(b, f.cfg.EventTime, &r.bad)
		}
	}
	if b.Rows > 0 {
		r.batch = b
	}
	return r, taken, err
}

// put waits for room; false at the end of ctx.
func (f *fetcher) put(ctx context.Context, r read) bool {
	if f.cfg.BatchDelay > 0 {
		r.at = f.cfg.Clock.Now()
	}
	for {
		f.mu.Lock()
		if len(f.reads) == 0 || f.rows < aheadRowsMax && len(f.reads) < aheadReadsMax {
			f.reads = append(f.reads, r)
			if r.batch != nil {
				f.rows += r.batch.Rows
			}
			f.mu.Unlock()
			f.task.Wake()
			return true
		}
		f.mu.Unlock()
		select {
		case <-ctx.Done():
			return false
		case <-f.space.C():
		}
	}
}

func (f *fetcher) end(err error) {
	f.mu.Lock()
	f.err = err
	f.mu.Unlock()
	f.task.Wake()
}

// take moves what is there into into, up to record.RowsMax rows, unless that is less than a batch and younger than the batch
// delay: then due says when it will be old enough. err is set once everything has been taken.
func (f *fetcher) take(into []read, now time.Time) (reads []read, due time.Time, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.reads) == 0 {
		return into, time.Time{}, f.err
	}
	if delay := f.cfg.BatchDelay; delay > 0 && f.err == nil && f.rows < record.RowsMax && len(f.reads) < aheadReadsMax {
		if due = f.reads[0].at.Add(delay); now.Before(due) {
			return into, due, nil
		}
	}
	rows, n := 0, 0
	for _, r := range f.reads {
		if r.batch != nil {
			if n > 0 && rows+r.batch.Rows > record.RowsMax {
				break
			}
			rows += r.batch.Rows
		}
		n++
	}
	into = append(into, f.reads[:n]...)
	left := copy(f.reads, f.reads[n:])
	clear(f.reads[left:])
	f.reads = f.reads[:left]
	f.rows -= rows
	f.space.Wake()
	return into, time.Time{}, nil
}
