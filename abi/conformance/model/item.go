package model

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/tidemill/tidemill/abi/conformance/program"
)

// item is a row, a timer or a callback while its program runs.
type item struct {
	model   *Model
	keyed   *keyed // nil in callbacks
	kind    int64  // as command clock tells it
	row     *program.Step
	fired   bool
	time    int64 // event time of the row, time of the timer
	rowTime int64 // event time of what is emitted
	pos     int64
	name    program.Value // tag of the timer
	filed   string

	budget  int
	over    bool // the budget is used up, or the item has failed
	fault   *Rejection
	rows    []emitted
	bytes   int // about: of rows and changes
	counted uint64
	gauged  *float64
}

type emitted struct{ port, text string }

// spend takes a step from the budget.
func (i *item) spend() bool {
	if i.over = i.over || i.budget == 0; i.over {
		return false
	}
	i.budget--
	return true
}

func (i *item) run(p []byte) {
	for r := program.NewReader(p); ; {
		c, ok := r.Next()
		if !ok || !i.spend() {
			return
		}
		if c.Op.NeedsKey() && i.keyed == nil || c.Op.NeedsRow() && (i.row == nil || i.row.More) {
			continue
		}
		if i.command(&c); i.over {
			return
		}
	}
}

func (i *item) command(c *program.Command) {
	switch c.Op {
	case program.ValueSet, program.ListAppend, program.MapSet, program.TimerSet:
		i.takes(append(c.Record[:], program.Text(c.Text), program.Text(c.Key.Text), program.Text(string(c.Program)))...)
	}
	switch {
	case c.Op >= program.ValueGet && c.Op <= program.ValueClear:
		i.value(c)
	case c.Op >= program.ListAll && c.Op <= program.ListClear:
		i.list(c)
	case c.Op >= program.MapGet && c.Op <= program.MapScan:
		i.mapped(c)
	case c.Op >= program.TimerSet && c.Op <= program.TimerDeleteAt:
		i.timer(c)
	case c.Op >= program.Log:
		i.other(c)
	default:
		i.emits(c)
	}
}

// own are the key's columns as the operator writes them.
func (i *item) own() []program.Value {
	if i.keyed == nil {
		return []program.Value{program.Null, program.Null}
	}
	return []program.Value{i.keyed.key.K, program.Int(i.keyed.key.G)}
}

// emit emits a row, if the budget allows.
func (i *item) emit(port int, at int64, values ...program.Value) bool {
	if !i.spend() {
		return false
	}
	i.takes(values...)
	p := &program.Ports[port]
	i.rows = append(i.rows, emitted{p.Name, Line(p, values, at, i.pos)})
	return true
}

// takes counts the bytes of a row that is emitted or written.
func (i *item) takes(values ...program.Value) {
	const widest, head = 16 + 1, 64 // a decimal with its null, and what a row or change has besides
	i.bytes += head
	for _, v := range values {
		i.bytes += widest + len(v.Text)
		for _, element := range v.List {
			i.bytes += widest + len(element.Text)
		}
	}
}

// Line is an output row as text. Numbers that were drawn are left out.
func Line(p *program.Port, values []program.Value, eventTime, pos int64) string {
	parts := make([]string, len(values))
	for i, f := range p.Fields {
		parts[i] = f.Name + ":" + values[i].Format(f.Type)
	}
	if p == &program.Ports[program.PortDrawn] {
		parts[len(parts)-1] = "drawn"
	}
	return fmt.Sprintf("%s time:%d pos:%d", strings.Join(parts, " "), eventTime, pos)
}

// observe emits to port values.
func (i *item) observe(op program.Op, n, name program.Value, record program.Record) bool {
	values := append(i.own(), program.Int(int64(op)), n, name)
	return i.emit(program.PortValues, i.rowTime, append(values, record[:]...)...)
}

func (i *item) emits(c *program.Command) {
	switch c.Op {
	case program.Values:
		i.observe(c.Op, program.Null, program.Null, c.Record)
	case program.Echo:
		if i.row != nil {
			i.observe(c.Op, program.Null, program.Null, i.read())
		}
	case program.Pass:
		r := &i.row.Record
		i.emit(program.PortPassed, i.rowTime, append(i.own(), program.Int(c.Number), r[program.FieldText], i.row.Unread,
			r[program.FieldAt], r[program.FieldBytes], r[program.FieldFlag], r[program.FieldSingle], r[program.FieldTiny],
			r[program.FieldAmount], r[program.FieldNumbers], r[program.FieldNames], program.Amount(program.DecimalOf(c.Number)), ramp(c.Number))...)
	case program.Due:
		i.emit(program.PortTimed, c.Time, append(i.own(), program.Int(c.Time), program.Int(c.Number))...)
	case program.Draw:
		i.emit(program.PortDrawn, i.rowTime, append(i.own(), program.Null)...)
	case program.Clock:
		record := program.NoRecord()
		record[program.FieldLarge] = program.Int(i.model.watermark)
		record[program.FieldAt] = program.Int(i.model.now)
		if i.row != nil || i.fired {
			record[program.FieldZoned] = program.Int(i.time)
		}
		i.observe(c.Op, program.Int(i.kind), i.name, record)
	}
}

// ramp has n & 3 elements, each of them n.
func ramp(n int64) (list program.Value) {
	for range n & 3 {
		list.List = append(list.List, program.Int(n))
	}
	return list
}

// read is the row's record as its port gives it.
func (i *item) read() program.Record {
	if !i.row.More {
		return i.row.Record
	}
	record := program.NoRecord()
	record[program.FieldLarge], record[program.FieldText] = MoreColumns(&i.row.Record)
	return record
}

// MoreColumns are the columns large and text of a row of port more: an i32, and a text that is not null.
func MoreColumns(r *program.Record) (large, text program.Value) {
	return program.Int(int64(int32(r[program.FieldLarge].Int))), program.Text(r[program.FieldText].Text)
}

// plus is a record with n added to large.
func plus(r program.Record, n int64) program.Record {
	r[program.FieldLarge].Int += n
	return r
}

// found is the observation of a read.
func (i *item) found(op program.Op, record *program.Record) {
	if record == nil {
		i.observe(op, program.Int(0), program.Null, program.NoRecord())
	} else {
		i.observe(op, program.Int(1), program.Null, *record)
	}
}

func (i *item) value(c *program.Command) {
	value := &i.keyed.values[c.Index]
	switch c.Op {
	case program.ValueGet:
		if *value != nil {
			i.found(c.Op, &(*value).record)
		} else {
			i.found(c.Op, nil)
		}
	case program.ValueSet:
		*value = &cell{c.Record, i.model.now}
	case program.ValueAdd:
		record := program.NoRecord()
		if *value != nil {
			record = (*value).record
		}
		*value = &cell{plus(record, c.Number), i.model.now}
	case program.ValueClear:
		*value = nil
	}
}

func (i *item) list(c *program.Command) {
	list := &i.keyed.lists[c.Index]
	switch c.Op {
	case program.ListAll:
		for n, element := range *list {
			if !i.observe(c.Op, program.Int(int64(n)), program.Null, element.record) {
				return
			}
		}
	case program.ListLen:
		i.observe(c.Op, program.Int(int64(len(*list))), program.Null, program.NoRecord())
	case program.ListAppend:
		*list = append(*list, cell{c.Record, i.model.now})
	case program.ListClear:
		*list = nil
	}
}

// kept is what a map keeps of a record.
func kept(index int, r program.Record) program.Record {
	if index != program.Pairs {
		return r
	}
	record := program.NoRecord()
	record[program.FieldLarge] = r[program.FieldLarge]
	return record
}

func (i *item) mapped(c *program.Command) {
	entries := i.keyed.maps[c.Index]
	entry, found := entries[c.Key]
	switch c.Op {
	case program.MapGet:
		if found {
			i.found(c.Op, &entry.record)
		} else {
			i.found(c.Op, nil)
		}
	case program.MapSet:
		entries[c.Key] = cell{kept(c.Index, c.Record), i.model.now}
	case program.MapAdd:
		i.add(c.Index, c.Key, c.Number)
	case program.MapDelete:
		delete(entries, c.Key)
	case program.MapClear:
		clear(entries)
	case program.MapScan:
		i.scan(c, entries)
	}
}

func (i *item) add(index int, key program.MapKey, n int64) {
	record := program.NoRecord()
	if entry, found := i.keyed.maps[index][key]; found {
		record = entry.record
	}
	i.keyed.maps[index][key] = cell{plus(record, n), i.model.now}
}

// scan goes over the entries that are there when it begins, as they are then (rule 5).
func (i *item) scan(c *program.Command, entries map[program.MapKey]cell) {
	type entry struct {
		key    program.MapKey
		record program.Record
	}
	var list []entry
	for key, found := range entries {
		if c.Byte&3 < program.ScanRange || compareKeys(key, c.Key) >= 0 && compareKeys(key, c.High) < 0 {
			list = append(list, entry{key, found.record})
		}
	}
	slices.SortFunc(list, func(a, b entry) int { return compareKeys(a.key, b.key) })
	if c.Byte&3 == program.ScanDescending {
		slices.Reverse(list)
	}
	if most := int(c.Byte >> 4); most > 0 {
		list = list[:min(most, len(list))]
	}
	for n, e := range list {
		if !i.observe(c.Op, program.Int(int64(n)), program.Text(e.key.Name(c.Index)), e.record) {
			return
		}
		switch c.Byte >> 2 & 3 {
		case program.ScanDeletes:
			delete(entries, e.key)
		case program.ScanClears:
			clear(entries)
		case program.ScanAdds:
			i.add(c.Index, e.key, 1)
		}
	}
}

// compareKeys is the order of SPEC.md, section 11: field by field, numbers by value, texts by their bytes, false first.
func compareKeys(a, b program.MapKey) int {
	flag := func(k program.MapKey) int {
		if k.Flag {
			return 1
		}
		return 0
	}
	return cmp.Or(cmp.Compare(a.Small, b.Small), a.Amount.Compare(b.Amount), cmp.Compare(flag(a), flag(b)), cmp.Compare(a.Day, b.Day),
		cmp.Compare(a.At, b.At), strings.Compare(a.Text, b.Text))
}

func (i *item) timer(c *program.Command) {
	k := i.keyed
	switch c.Op {
	case program.TimerSet:
		k.programs[c.Text] = c.Program
		i.model.setTimer(k, timer{c.Index, c.Time, c.Text})
	case program.TimerDelete:
		k.deleteTimers(func(t timer) bool { return t.name == c.Index && t.tag == c.Text })
	case program.TimerDeleteAt:
		k.deleteTimers(func(t timer) bool {
			return t.name == c.Index && t.tag == c.Text && (c.Index&program.TimerMany == 0 || t.time == c.Time)
		})
	}
}

func (i *item) other(c *program.Command) {
	switch c.Op {
	case program.Log:
		i.model.Logged[fmt.Sprintf("%d %d", c.Index, c.Number)] = true
	case program.Count:
		i.counted += uint64(c.Byte)
	case program.Gauge:
		i.gauged = &c.Real
	case program.Fault:
		switch kind := c.Byte % 16; {
		case kind < program.FaultPanic:
			i.fail(Rejection{Fault: program.FaultError, Message: "refused: " + c.Text})
		case kind < program.FaultLoop:
			i.fail(Rejection{Fault: program.FaultPanic})
		case kind < program.FaultNone:
			i.fail(Rejection{Fault: kind})
		}
	case program.Repeat:
		for range 1 + c.Byte%8 {
			if i.run(c.Program); i.over {
				return
			}
		}
	}
}

func (i *item) fail(r Rejection) { i.fault, i.over = &r, true }
