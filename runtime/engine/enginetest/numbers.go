package enginetest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/tidemill/tidemill/connectors"
	"github.com/tidemill/tidemill/runtime/engine"
	"github.com/tidemill/tidemill/runtime/record"
)

// NumbersSchema is the schema of Numbers.
var NumbersSchema = &record.Schema{Fields: []record.Field{
	{Name: "key", Type: record.I64}, {Name: "value", Type: record.I64}, {Name: "at", Type: record.Timestamp, Nullable: true},
}}

// Number is a record of Numbers.
type Number struct {
	Key, Value int64
	At         int64 // us
}

// Numbers is a source of reproducible records: each split has Rows of them, whose times rise by about Step us a record and are
// out of order by at most Disorder us. Reads are cut into pieces of random length.
type Numbers struct {
	Seed     uint64
	Splits   int
	Rows     int
	Keys     int
	FirstKey int64
	Step     int64
	Disorder int64
	Unbound  bool                      // the source says that it never ends, and idles where its rows end
	Bad      func(split, row int) bool // a record that cannot be decoded; nil: none
	Null     func(split, row int) bool // a record without a time; nil: none
	Tap      *Tap                      // holds reads back; nil: nothing does
	Fail     atomic.Int64              // reads until an error; 0: never
}

var _ connectors.Source = (*Numbers)(nil)

// At is a record by its place.
func (n *Numbers) At(split, row int) Number {
	random := func(which, below uint64) int64 {
		return int64(mix(mix(n.Seed<<40^uint64(split)<<32^uint64(row))+which) % below)
	}
	return Number{
		Key:   n.FirstKey + random(1, uint64(n.Keys)),
		Value: random(2, 1000),
		At:    int64(row+1)*n.Step - random(3, uint64(n.Disorder)+1),
	}
}

// mix is the finalizer of SplitMix64: numbers next to each other become numbers that look random.
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// Schema implements connectors.Source.
func (n *Numbers) Schema(context.Context) (*record.Schema, error) { return NumbersSchema, nil }

// Bounded implements connectors.Source.
func (n *Numbers) Bounded() bool { return !n.Unbound }

// Enumerator implements connectors.Source.
func (n *Numbers) Enumerator(_ context.Context, state []byte) (connectors.Enumerator, error) {
	e := &numbersEnumerator{source: n}
	if state != nil {
		if err := json.Unmarshal(state, &e.given); err != nil {
			return nil, err
		}
	}
	return e, nil
}

// numbersEnumerator gives the splits of a bounded source away in two steps.
type numbersEnumerator struct {
	source *Numbers
	given  int
}

func (e *numbersEnumerator) Discover(context.Context) ([]connectors.Split, bool, error) {
	end := e.source.Splits
	if e.given == 0 && !e.source.Unbound {
		end = (end + 1) / 2
	}
	var splits []connectors.Split
	for ; e.given < end; e.given++ {
		splits = append(splits, connectors.Split{ID: strconv.Itoa(e.given)})
	}
	return splits, e.given == e.source.Splits && !e.source.Unbound, nil
}

func (e *numbersEnumerator) Snapshot() ([]byte, error) { return json.Marshal(e.given) }
func (e *numbersEnumerator) Close() error              { return nil }

// Tap lets rows of a source through, up to a number in each split. Safe for concurrent use.
type Tap struct {
	mu     sync.Mutex
	rows   int
	opened chan struct{}
}

// NewTap returns a tap that lets through so many rows of each split.
func NewTap(rows int) *Tap { return &Tap{rows: rows, opened: make(chan struct{})} }

// Open lets through so many rows of each split altogether.
func (t *Tap) Open(rows int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.rows = rows
	close(t.opened)
	t.opened = make(chan struct{})
}

// Drip returns a listener for engine.Options that lets through some more rows of each split with every checkpoint that has all
// that were let through before: so each of them has something new.
func (t *Tap) Drip(more int) func(engine.Event) {
	return func(e engine.Event) {
		c, ok := e.(engine.Completed)
		if !ok {
			return
		}
		t.mu.Lock()
		rows := t.rows
		t.mu.Unlock()
		for _, split := range c.Manifest.Splits {
			if !split.Position.Done && split.Position.Records < int64(rows) {
				return
			}
		}
		if len(c.Manifest.Splits) > 0 {
			t.Open(rows + more)
		}
	}
}

// Wait returns when a split of end rows that has been read up to row may go on, and how far; its end may always be read.
func (t *Tap) Wait(ctx context.Context, row, end int) (int, error) {
	for {
		t.mu.Lock()
		rows, opened := t.rows, t.opened
		t.mu.Unlock()
		if row < rows || row == end {
			return min(max(rows, row), end), nil
		}
		select {
		case <-opened:
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
}

// errRead is what Numbers fails with.
var errRead = errors.New("the read was made to fail")

type numbersReader struct {
	source *Numbers
	split  int
	pos    record.Position
	rng    *rand.Rand
}

// Open implements connectors.Source.
func (n *Numbers) Open(_ context.Context, s connectors.Split, at record.Position) (connectors.Reader, error) {
	split := s.ID
	i, err := strconv.Atoi(split)
	if err != nil {
		return nil, err
	}
	if at.Records != at.Offset {
		return nil, fmt.Errorf("split %s: position %+v was never reported", split, at)
	}
	return &numbersReader{source: n, split: i, pos: at, rng: rand.New(rand.NewPCG(n.Seed, uint64(at.Offset)))}, nil
}

func (r *numbersReader) Next(ctx context.Context, dst *record.Batch, most int, bad *[]connectors.BadRecord) error {
	free := r.source.Rows
	if r.source.Tap != nil {
		var err error
		if free, err = r.source.Tap.Wait(ctx, int(r.pos.Offset), r.source.Rows); err != nil {
			return err
		}
	}
	if r.source.Fail.Load() > 0 && r.source.Fail.Add(-1) == 0 {
		return errRead
	}
	n := min(most, 1+r.rng.IntN(700), free-int(r.pos.Offset))
	for range n {
		row := int(r.pos.Offset)
		r.pos.Offset++
		r.pos.Records++
		if r.source.Bad != nil && r.source.Bad(r.split, row) {
			*bad = append(*bad, connectors.BadRecord{At: int64(row), Line: int64(row + 1), Raw: []byte(fmt.Sprintf("bad %d/%d", r.split, row)),
				Reason: errors.New("it is bad")})
			continue
		}
		v := r.source.At(r.split, row)
		dst.Columns[0].AppendInt(v.Key)
		dst.Columns[1].AppendInt(v.Value)
		if r.source.Null != nil && r.source.Null(r.split, row) {
			dst.Columns[2].AppendNull()
		} else {
			dst.Columns[2].AppendInt(v.At)
		}
		dst.Pos = append(dst.Pos, int64(row))
		dst.Rows++
	}
	if int(r.pos.Offset) < r.source.Rows {
		return nil
	}
	if r.source.Unbound {
		if n > 0 {
			return nil
		}
		return connectors.ErrIdle
	}
	return io.EOF
}

func (r *numbersReader) Position() record.Position { return r.pos }
func (r *numbersReader) Close() error              { return nil }
