package source

import (
	"context"
	"errors"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/tidemill/tidemill/connectors"
	"github.com/tidemill/tidemill/runtime/exchange"
	"github.com/tidemill/tidemill/runtime/record"
	"github.com/tidemill/tidemill/runtime/telemetry"
)

// Reject treats a bad record of a split by the job's policy: nil means that the source goes on.
type Reject func(split string, bad *connectors.BadRecord) error

// Subtask hands out what one subtask of a source reads. Its task's goroutine uses it.
type Subtask struct {
	cfg      *Config
	index    int
	assigner *Assigner
	signal   *exchange.Signal
	reject   Reject
	metrics  *telemetry.Subtask

	ctx    context.Context // of the fetchers
	cancel context.CancelFunc
	group  sync.WaitGroup

	splits   []*reading
	finished []Split // since the last Snapshot
	turn     int
	reads    []read

	watermark int64 // handed out last
	idle      bool
	changed   bool      // something may have moved since the watermark was computed last
	moves     int64     // of the assigner, then
	emitted   time.Time // when the watermark was handed out last
	due       time.Time // when Next may have something without a wake; zero: never
	stopped   bool
	ended     bool
}

// reading is a split in progress.
type reading struct {
	Split
	fetcher  *fetcher
	progress *telemetry.Split
	last     time.Time // when it was begun or gave a record
	idle     bool
}

// NewSubtask returns a subtask whose watermark goes on from one restored (or record.WatermarkNone). Its fetchers end with ctx.
func NewSubtask(ctx context.Context, cfg *Config, index int, assigner *Assigner, signal *exchange.Signal, watermark int64,
	reject Reject) *Subtask {
	s := &Subtask{cfg: cfg, index: index, assigner: assigner, signal: signal, reject: reject, watermark: watermark,
		metrics: cfg.Metrics.Subtasks[index], changed: true, ended: watermark == record.WatermarkEnd}
	s.ctx, s.cancel = context.WithCancel(ctx)
	return s
}

// Next returns the next batch, watermark or idleness, or false where there is nothing now: the task's signal is woken when that
// may have changed, or the time of Due has come.
func (s *Subtask) Next() (exchange.Item, bool, error) {
	if s.stopped || s.ended {
		s.due = time.Time{}
		return exchange.Item{}, false, nil
	}
	now := s.cfg.Clock.Now()
	for {
		s.due = time.Time{}
		s.sweep()
		s.begin(now)
		if it, ok := s.advance(now); ok {
			return it, true, nil
		}
		done := false
		for range len(s.splits) {
			s.turn = (s.turn + 1) % len(s.splits)
			r := s.splits[s.turn]
			b, err := s.take(r, now)
			if err != nil {
				return exchange.Item{}, false, err
			}
			if b != nil {
				return exchange.Item{Kind: exchange.Batch, Batch: b}, true, nil
			}
			done = done || r.Position.Done
		}
		if !done {
			return exchange.Item{}, false, nil
		}
	}
}

// Due is the time at which Next wants to be called without a wake; false: never.
func (s *Subtask) Due() (time.Time, bool) { return s.due, !s.due.IsZero() }

func (s *Subtask) dueAt(t time.Time) {
	if s.due.IsZero() || t.Before(s.due) {
		s.due = t
	}
}

// begin starts the splits that the assigner has for this subtask.
func (s *Subtask) begin(now time.Time) {
	for _, split := range s.assigner.take(s.index, len(s.splits)) {
		f := newFetcher(s.cfg, split, s.signal)
		s.splits = append(s.splits, &reading{Split: split, fetcher: f, last: now,
			progress: s.cfg.Metrics.Split(split.Split.ID, split.Position)})
		s.changed = true
		s.group.Go(func() { f.run(s.ctx) })
	}
}

// take hands out what a split has, or nil where that is nothing yet.
func (s *Subtask) take(r *reading, now time.Time) (*record.Batch, error) {
	reads, due, err := r.fetcher.take(s.reads[:0], now)
	s.reads = reads
	if !due.IsZero() {
		s.dueAt(due)
	}
	switch {
	case errors.Is(err, io.EOF):
		r.Position.Done = true
		return nil, nil
	case err != nil:
		return nil, readError(s.cfg.Name, r.Split.Split.ID, err)
	case len(reads) == 0:
		return nil, nil
	}
	r.last, r.idle, s.changed = now, false, true
	var parts []*record.Batch
	greatest := record.WatermarkNone
	for i := range reads {
		for k := range reads[i].bad {
			if err := s.reject(r.Split.Split.ID, &reads[i].bad[k]); err != nil {
				return nil, err
			}
		}
		if b := reads[i].batch; b != nil {
			parts = append(parts, b)
			greatest = max(greatest, reads[i].greatest)
		}
	}
	r.Position = reads[len(reads)-1].after
	r.Position.Done = false // until everything has been taken and the reader has said so
	clear(s.reads)
	s.count(r)
	if len(parts) == 0 {
		return nil, nil
	}
	b := record.Concat(parts)
	if e := s.cfg.EventTime; e != nil {
		r.Watermark = max(r.Watermark, bound(greatest, e.OutOfOrderness))
	}
	s.assigner.blank.note(b)
	s.metrics.BatchesIn.Add(1)
	s.metrics.RecordsIn.Add(int64(b.Rows))
	return b, nil
}

// bound is the watermark after a greatest event time: a record that is out of order by no more than the bound is not late.
func bound(greatest int64, outOfOrderness time.Duration) int64 {
	back := outOfOrderness.Microseconds() + 1
	if greatest < record.WatermarkNone+1+back {
		return record.WatermarkNone
	}
	return min(greatest-back, record.WatermarkEnd-1)
}

func (s *Subtask) count(r *reading) {
	r.progress.Records.Store(r.Position.Records)
	r.progress.Offset.Store(r.Position.Offset)
	r.progress.Done.Store(r.Position.Done)
}

// sweep takes out splits that have ended.
func (s *Subtask) sweep() {
	kept := s.splits[:0]
	for _, r := range s.splits {
		if !r.Position.Done {
			kept = append(kept, r)
			continue
		}
		s.count(r)
		s.finished = append(s.finished, r.Split)
		s.assigner.finish(r.Split)
	}
	s.changed = s.changed || len(kept) < len(s.splits)
	clear(s.splits[len(kept):])
	s.splits = kept
}

// advance hands out a watermark or a change of idleness, at most every watermark interval.
func (s *Subtask) advance(now time.Time) (exchange.Item, bool) {
	if len(s.splits) == 0 && s.assigner.ended() {
		s.ended = true
		if names, records := s.assigner.blank.columns(s.cfg.Schema); len(names) > 0 {
			s.cfg.Log.Warn("columns were null in every record: is that how the data spells their names?", "source", s.cfg.Name,
				"columns", strings.Join(names, ", "), "records", records)
		}
		s.watermark = record.WatermarkEnd
		return exchange.Item{Kind: exchange.Watermark, Watermark: s.watermark}, true
	}
	s.fallIdle(now)
	if moves := s.assigner.moves.Load(); moves != s.moves {
		s.moves, s.changed = moves, true
	}
	follows := s.cfg.Connector.Bounded() && len(s.splits) == 0 // its watermark moves with that of other subtasks
	if !s.changed && !follows {
		return exchange.Item{}, false
	}
	if next := s.emitted.Add(s.cfg.WatermarkInterval); now.Before(next) {
		s.dueAt(next)
		return exchange.Item{}, false
	}
	s.changed = false
	value, idle := s.merge()
	woke := s.idle && !idle
	if value <= s.watermark && !woke && idle == s.idle {
		if follows {
			s.dueAt(now.Add(s.cfg.WatermarkInterval))
		}
		return exchange.Item{}, false
	}
	s.emitted = now
	if idle && value <= s.watermark {
		s.idle = true
		return exchange.Item{Kind: exchange.Idle}, true
	}
	s.changed = idle // the watermark first, then idleness
	s.idle = false
	s.watermark = max(s.watermark, value)
	return exchange.Item{Kind: exchange.Watermark, Watermark: s.watermark}, true
}

// fallIdle marks splits of an unbounded source that have had no record for too long.
func (s *Subtask) fallIdle(now time.Time) {
	e := s.cfg.EventTime
	if e == nil || e.Idleness == 0 || s.cfg.Connector.Bounded() {
		return
	}
	for _, r := range s.splits {
		if r.idle {
			continue
		}
		if at := r.last.Add(e.Idleness); now.Before(at) {
			s.dueAt(at)
		} else {
			r.idle, s.changed = true, true
		}
	}
}

// merge is the watermark of the subtask from those of its splits.
func (s *Subtask) merge() (value int64, idle bool) {
	if s.cfg.EventTime == nil {
		return record.WatermarkNone, true
	}
	var w exchange.Watermarks
	for _, r := range s.splits {
		i := w.Add()
		w.Set(i, r.Watermark)
		if r.idle {
			w.SetIdle(i)
		}
		s.assigner.report(r.Split.Split.ID, r.Watermark)
	}
	if s.cfg.Connector.Bounded() {
		value, _ = w.Merge()
		if value = min(value, s.assigner.hold(len(s.splits))); value == record.WatermarkEnd {
			value = s.watermark // the source is about to end, which advance says
		}
		return value, false
	}
	if len(s.splits) == 0 {
		return record.WatermarkNone, s.assigner.known()
	}
	value, idle = w.Merge()
	return value, idle
}

// Snapshot is the subtask's part of a checkpoint: all that it reads, and what it has finished since the last one.
func (s *Subtask) Snapshot() []Split {
	s.sweep()
	splits := s.finished
	s.finished = nil
	for _, r := range s.splits {
		splits = append(splits, r.Split)
	}
	return splits
}

// Stop ends reading: Next hands out nothing more, the end of input neither.
func (s *Subtask) Stop() {
	s.stopped = true
	s.cancel()
}

// Close stops the fetchers and waits for them.
func (s *Subtask) Close() {
	s.cancel()
	s.group.Wait()
}
