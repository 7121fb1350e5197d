package main

import (
	"errors"
	"iter"
	"slices"
	"strconv"

	"github.com/tidemill/tidemill/sdk-go/operator"
	"github.com/tidemill/tidemill/sdk-go/state"
)

// item is what the interpreter knows of the row, timer or callback under way.
type item struct {
	kind   int64 // as command clock tells it
	keyed  bool
	row    bool
	in     bool // of port in
	record record
	time   operator.Null[operator.Timestamp]
	tag    operator.Null[string]
	steps  int
	over   bool // the budget is used up
}

// budget is how many steps an item may take.
const budget = 256

// run runs the program of an item.
func (o *parts) run(program []byte, of item) error {
	o.item = of
	return o.commands(program)
}

// spend takes a step from the item's budget.
func (o *parts) spend() bool {
	if o.item.steps == budget {
		o.item.over = true
		return false
	}
	o.item.steps++
	return true
}

func (o *parts) commands(program []byte) error {
	r := reader{program}
	for len(r.rest) > 0 && o.spend() {
		if err := o.command(int16(r.byte()%28), &r); err != nil || o.item.over {
			return err
		}
	}
	return nil
}

// The commands from here on touch what their names say.
const (
	valueGet    = 6
	listAll     = 10
	mapGet      = 14
	timerSet    = 20
	log         = 23
	pass        = 2
	mapScan     = 19
	clockNumber = 5
)

func (o *parts) command(n int16, r *reader) error {
	switch {
	case n < valueGet:
		o.emits(n, r)
	case n < listAll:
		o.value(n, r)
	case n < mapGet:
		o.list(n, r)
	case n < timerSet:
		o.mapped(n, r)
	case n < log:
		o.timer(n, r)
	default:
		return o.other(n, r)
	}
	return nil
}

func (o *parts) own() ownKey {
	if !o.item.keyed {
		return ownKey{}
	}
	k := o.Key.Get()
	return ownKey{k.K, some(k.G)}
}

// observe emits a row to port values, and says whether the budget allowed it.
func (o *parts) observe(command int16, n operator.Null[int64], name operator.Null[string], v record) bool {
	if !o.spend() {
		return false
	}
	o.values.Emit(valuesRow{o.own(), command, n, name, v})
	return true
}

func (o *parts) emits(n int16, r *reader) {
	var nothing operator.Null[int64]
	var noName operator.Null[string]
	switch n {
	case 0: // values
		o.observe(n, nothing, noName, r.record())
	case 1: // echo
		if o.item.row {
			o.observe(n, nothing, noName, o.item.record)
		}
	case pass:
		if number := r.number(); o.item.in && o.spend() {
			o.pass(number)
		}
	case 3: // due
		at, number := r.time(), r.number()
		if o.item.keyed && o.spend() {
			o.Timed.Emit(timedRow{Due: at, N: number})
		}
	case 4: // draw
		if o.spend() {
			o.Drawn.Emit(drawnRow{o.own(), o.Rand().Int64N(1000)})
		}
	case clockNumber:
		v := record{Large: int64(o.Watermark()), At: o.ProcessingTime(), Zoned: o.item.time}
		o.observe(n, some(o.item.kind), o.item.tag, v)
	}
}

func (o *parts) value(n int16, r *reader) {
	v := [3]*state.Value[record]{&o.Cell, &o.Plain, &o.Brief}[r.index(3)]
	switch n {
	case 6: // value_get
		if o.item.keyed {
			o.read(n, v.Has(), v.Get())
		}
	case 7: // value_set
		if of := r.record(); o.item.keyed {
			v.Set(of)
		}
	case 8: // value_add
		if number := r.number(); o.item.keyed {
			v.Edit().Large += number
		}
	case 9: // value_clear
		if o.item.keyed {
			v.Clear()
		}
	}
}

// read emits what was read.
func (o *parts) read(n int16, found bool, v record) {
	if found {
		o.observe(n, some(int64(1)), operator.Null[string]{}, v)
	} else {
		o.observe(n, some(int64(0)), operator.Null[string]{}, record{})
	}
}

func (o *parts) list(n int16, r *reader) {
	l := [3]*state.List[record]{&o.Items, &o.Near, &o.Fading}[r.index(3)]
	var noName operator.Null[string]
	switch n {
	case 10: // list_all
		if !o.item.keyed {
			return
		}
		for i, v := range l.All() {
			if !o.observe(n, some(int64(i)), noName, v) {
				return
			}
		}
	case 11: // list_len
		if o.item.keyed {
			o.observe(n, some(int64(l.Len())), noName, record{})
		}
	case 12: // list_append
		if v := r.record(); o.item.keyed {
			l.Append(v)
		}
	case 13: // list_clear
		if o.item.keyed {
			l.Clear()
		}
	}
}

func (o *parts) mapped(n int16, r *reader) {
	switch r.index(4) {
	case 0:
		(&entries[string, record]{o, &o.Words, r.text, text, keepAll, keepAll, large}).command(n, r)
	case 1:
		(&entries[string, record]{o, &o.Close, r.text, text, keepAll, keepAll, large}).command(n, r)
	case 2:
		(&entries[pair, int64]{o, &o.Pairs, r.pair, pairName, keepLarge, onlyLarge, itself}).command(n, r)
	default:
		(&entries[string, record]{o, &o.Mist, r.text, text, keepAll, keepAll, large}).command(n, r)
	}
}

// entries is one of the maps.
type entries[K comparable, V any] struct {
	o      *parts
	m      *state.Map[K, V]
	key    func() K
	name   func(K) string
	keep   func(record) V
	show   func(V) record
	number func(*V) *int64
}

func text(key string) string                             { return key }
func keepAll(v record) record                            { return v }
func keepLarge(v record) int64                           { return v.Large }
func onlyLarge(v int64) record                           { return record{Large: v} }
func large(v *record) *int64                             { return &v.Large }
func itself(v *int64) *int64                             { return v }
func plainNumber[T ~int16 | ~int32 | ~int64](v T) string { return strconv.FormatInt(int64(v), 10) }

func pairName(p pair) string {
	flag := "0"
	if p.Flag {
		flag = "1"
	}
	return plainNumber(p.Small) + "," + p.Amount.String() + "," + flag + "," + plainNumber(p.Day) + "," + plainNumber(p.At) + "," + p.Text
}

func (e *entries[K, V]) command(n int16, r *reader) {
	if n == mapScan {
		e.scan(n, r)
		return
	}
	keyed := e.o.item.keyed
	var key K
	if n != 18 {
		key = e.key()
	}
	switch n {
	case 14: // map_get
		if keyed {
			v, found := e.m.Get(key)
			e.o.read(n, found, e.show(v))
		}
	case 15: // map_set
		if v := r.record(); keyed {
			e.m.Set(key, e.keep(v))
		}
	case 16: // map_add
		if number := r.number(); keyed {
			*e.number(e.m.Edit(key)) += number
		}
	case 17: // map_delete
		if keyed {
			e.m.Delete(key)
		}
	case 18: // map_clear
		if keyed {
			e.m.Clear()
		}
	}
}

func (e *entries[K, V]) scan(n int16, r *reader) {
	mode := r.byte()
	var all iter.Seq2[K, V]
	switch mode & 3 {
	case 0:
		all = e.m.All()
	case 1:
		all = e.m.Backward()
	default:
		low := e.key()
		all = e.m.Range(low, e.key())
	}
	if !e.o.item.keyed {
		return
	}
	at, most := int64(0), int64(mode>>4)
	for key, v := range all {
		if !e.o.observe(n, some(at), some(e.name(key)), e.show(v)) {
			return
		}
		switch mode >> 2 & 3 {
		case 1:
			e.m.Delete(key)
		case 2:
			e.m.Clear()
		case 3:
			*e.number(e.m.Edit(key))++
		}
		if at++; at == most {
			return
		}
	}
}

func (o *parts) timer(n int16, r *reader) {
	t := o.timers()[r.index(8)]
	switch n {
	case 20: // timer_set
		at, tag, program := r.time(), r.word(), r.program()
		if !o.item.keyed {
			return
		}
		o.Programs.Set(tag, program)
		if tag == "" {
			t.Set(at)
		} else {
			t.SetTag(at, tag)
		}
	case 21: // timer_delete
		if tag := r.word(); o.item.keyed && tag == "" {
			t.Delete()
		} else if o.item.keyed {
			t.DeleteTag(tag)
		}
	case 22: // timer_delete_at
		at, tag := r.time(), r.word()
		if o.item.keyed {
			t.DeleteAt(at, tag)
		}
	}
}

func (o *parts) other(n int16, r *reader) error {
	switch n {
	case log:
		level := operator.Level(r.index(5))
		o.Log(level, strconv.FormatInt(r.number(), 10))
	case 24: // count
		o.Counted.Add(uint64(r.byte()))
	case 25: // gauge
		o.Gauged.Set(r.real())
	case 26: // fault
		kind := r.byte()
		return fail(kind, r.text())
	case 27: // repeat
		times := 1 + r.index(8)
		program := r.program()
		for range times {
			if err := o.commands(program); err != nil || o.item.over {
				return err
			}
		}
	}
	return nil
}

var sink []byte

func fail(kind byte, text string) error {
	switch kind % 16 {
	case 0, 1, 2, 3:
		return errors.New("refused: " + text)
	case 4, 5:
		panic("refused: " + text)
	case 6:
		for {
		}
	case 7:
		for {
			sink = slices.Grow(sink, 2*cap(sink)+1<<20)
		}
	}
	return nil
}
