package operatortest

import (
	"fmt"
	"testing"

	"github.com/tidemill/tidemill/sdk-go/internal/abi"
	"github.com/tidemill/tidemill/sdk-go/operator"
	"github.com/tidemill/tidemill/sdk-go/state"
)

// A record costs no allocation and no reflection in any of these, once buffers have grown: the test asserts it, the benchmarks
// give the time. The same frame is processed again and again.

type reading struct {
	Sensor string
	Value  int64
	Ratio  operator.Null[float64]
	Raw    []byte
}

// counting is the operator of the state benchmark: a count by key, and a timer every 1,000 records.
type counting struct {
	In    operator.In[struct{ Value int64 }]
	Count state.Value[int64]
	Tick  operator.Timer
}

func (c *counting) Open() error {
	c.In.OnRow(func(r *struct{ Value int64 }) error {
		n := c.Count.Edit()
		if *n++; *n%1000 == 0 {
			c.Tick.Set(operator.Timestamp(*n))
		}
		return nil
	})
	c.Tick.OnFire(func(operator.Fired) error { return nil })
	return nil
}

// texts reads and emits columns of all shapes.
type texts struct {
	In  operator.In[reading]
	Out operator.Out[struct {
		reading
		All operator.FromKey `tm:"key,from=sensor"`
	}]
	Key  operator.Key[string]
	Last state.Value[reading]
	Seen operator.Counter
}

func (o *texts) Open() error {
	o.In.OnRow(func(r *reading) error {
		o.Seen.Add(1)
		last := o.Last.Get()
		last.Value += r.Value
		last.Sensor = o.Key.Get()
		last.Raw = r.Raw
		o.Last.Set(last)
		o.Out.Emit(struct {
			reading
			All operator.FromKey `tm:"key,from=sensor"`
		}{reading: last})
		return nil
	})
	return nil
}

// collections uses lists and maps, prefetched and asked for, and loops over them.
type collections struct {
	In   operator.In[reading]
	List state.List[int64]        `tm:"list,prefetch"`
	Map  state.Map[string, int64] `tm:"map,prefetch"`
	Far  state.Map[string, int64]
	Sum  int64
}

func (o *collections) Open() error {
	o.In.OnRow(func(r *reading) error {
		o.List.Append(r.Value)
		n, _ := o.Map.Get(r.Sensor)
		o.Map.Set(r.Sensor, n+1)
		n, _ = o.Far.Get(r.Sensor)
		o.Far.Set(r.Sensor, n+1)
		if r.Value%64 == 0 {
			for _, v := range o.List.All() {
				o.Sum += v
			}
			for _, v := range o.Map.All() {
				o.Sum += v
			}
			o.List.Clear()
		}
		return nil
	})
	return nil
}

type columnar struct {
	In  operator.BatchIn[struct{ Value []int64 }]
	Out operator.BatchOut[struct {
		operator.FromInput
		Twice []int64
	}]
	twice []int64
}

func (o *columnar) Open() error {
	o.In.OnBatch(func(b *operator.Batch[struct{ Value []int64 }]) error {
		o.twice = o.twice[:0]
		for _, v := range b.Columns.Value {
			o.twice = append(o.twice, 2*v)
		}
		o.Out.Emit(struct {
			operator.FromInput
			Twice []int64
		}{Twice: o.twice})
		return nil
	})
	return nil
}

func init() {
	operator.Register[counting]("alloc-counting", "")
	operator.Register[texts]("alloc-texts", "")
	operator.Register[collections]("alloc-collections", "")
	operator.Register[columnar]("alloc-columnar", "")
	operator.Filter("alloc-filter", func(r *struct{ Value int64 }) bool { return r.Value&1 == 0 })
}

var allocCases = []struct {
	entry string
	keys  int
}{{"alloc-counting", 1000}, {"alloc-counting", abi.RowsMax}, {"alloc-texts", 100}, {"alloc-collections", 100}, {"alloc-columnar", 1}, {"alloc-filter", 1}}

// frameFor is a full frame for an operator that has seen it once.
func frameFor(t testing.TB, entry string, keys int) (*Harness, []byte) {
	h := New(t, entry, Config{Key: []string{"sensor"}, Inputs: map[string]any{"in": reading{}}})
	rows := make([]reading, abi.RowsMax)
	items := make([]item, len(rows))
	for i := range rows {
		rows[i] = reading{Sensor: fmt.Sprint("sensor-", i%keys), Value: int64(i), Raw: []byte("raw")}
		if i%3 > 0 {
			rows[i].Ratio = operator.Some(float64(i) / 2)
		}
		items[i] = item{port: "in", row: values{rows[i].Sensor, rows[i].Value, nil, rows[i].Raw}}
		if rows[i].Ratio.Valid {
			items[i].row[2] = rows[i].Ratio.Value
		}
	}
	Send(h, "in", rows...)
	h.sequence++
	data := h.encode(&running{kind: abi.KindBatch, items: items})
	h.slot.Host = nothing{}
	return h, data
}

// nothing is a host that has no state, and does not allocate.
type nothing struct{}

func (nothing) Log(int, string)                                {}
func (nothing) StateGet(_, _ uint32, _, _ []byte) int32        { return -1 }
func (nothing) ScanOpen(_, _ uint32, _ []byte, _ uint32) int32 { return 0 }
func (nothing) ScanNext(_ int32, out []byte) int32 {
	return int32(copy(out, make([]byte, abi.BlockSize)))
}
func (nothing) Apply([]byte) {}

func TestARecordAllocatesNothing(t *testing.T) {
	for _, c := range allocCases {
		h, data := frameFor(t, c.entry, c.keys)
		if h.slot.Process(data) == nil {
			t.Fatalf("%s answers nothing", c.entry)
		}
		if n := testing.AllocsPerRun(10, func() { h.slot.Process(data) }); n > 0 {
			t.Errorf("%s with %d keys: %v allocations in a frame of %d records", c.entry, c.keys, n, abi.RowsMax)
		}
	}
}

func BenchmarkRecord(b *testing.B) {
	for _, c := range allocCases {
		b.Run(fmt.Sprint(c.entry[6:], "-keys-", c.keys), func(b *testing.B) {
			h, data := frameFor(b, c.entry, c.keys)
			b.ReportAllocs()
			for b.Loop() {
				h.slot.Process(data)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/abi.RowsMax, "ns/record")
		})
	}
}
