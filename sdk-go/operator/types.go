package operator

import "time"

// Timestamp is a point in time: microseconds since 1970-01-01T00:00:00 UTC. Columns of type timestamp and timestamp_tz become
// one; in output rows it makes a timestamp column, or a timestamp_tz column with the tag option tz.
type Timestamp int64

// Watermarks before the first and after the last record, and the event time of a row that has none.
const (
	NoTime    Timestamp = -1 << 63
	EndOfTime Timestamp = 1<<63 - 1
)

// At is the timestamp of a time, cut to microseconds.
func At(t time.Time) Timestamp { return Timestamp(t.UnixMicro()) }

// Time is the timestamp as a time in UTC.
func (t Timestamp) Time() time.Time { return time.UnixMicro(int64(t)).UTC() }

// Add is the timestamp d later.
func (t Timestamp) Add(d time.Duration) Timestamp { return t + Timestamp(d/time.Microsecond) }

// Sub is the duration from u to t.
func (t Timestamp) Sub(u Timestamp) time.Duration { return time.Duration(t-u) * time.Microsecond }

// Truncate is the last multiple of d, counted from 1970, that is not after t. d is at least a microsecond.
func (t Timestamp) Truncate(d time.Duration) Timestamp {
	step := Timestamp(d / time.Microsecond)
	r := t % step
	if r < 0 {
		r += step
	}
	return t - r
}

// Date is the day of the timestamp in UTC.
func (t Timestamp) Date() Date { return Date(t.Truncate(day) / Timestamp(day/time.Microsecond)) }

// String is the timestamp in RFC 3339, in UTC.
func (t Timestamp) String() string {
	switch t {
	case NoTime:
		return "none"
	case EndOfTime:
		return "end"
	}
	return t.Time().Format(time.RFC3339Nano)
}

// Date is a day: days since 1970-01-01. It is a column of type date32.
type Date int32

const day = 24 * time.Hour

// Start is the first moment of the day in UTC.
func (d Date) Start() Timestamp { return Timestamp(d) * Timestamp(day/time.Microsecond) }

// String is the day as 2006-01-02.
func (d Date) String() string { return d.Start().Time().Format(time.DateOnly) }

// Null is a value that may be null, for columns that are declared so. The zero Null is null.
type Null[T any] struct {
	Value T // the zero value where it is null
	Valid bool
}

// Some is a value that is not null.
func Some[T any](v T) Null[T] { return Null[T]{v, true} }

// Or is the value, or other where it is null.
func (n Null[T]) Or(other T) T {
	if n.Valid {
		return n.Value
	}
	return other
}

// FromInput stands in an output row for a column that the host takes over from the row under way, so that its values never enter
// the module: embedded for all columns of the input port, or as a field for the one column that its tag names
// (`tm:"dest"`, or `tm:"to,from=dest"` to rename it). Rows emitted by timers have no such row.
type FromInput struct{}

// FromKey stands in an output row for a key column that the host takes over, by the name in its tag; embedded, for all of them.
type FromKey struct{}
