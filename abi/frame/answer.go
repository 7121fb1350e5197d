package frame

import (
	"encoding/binary"
	"unicode/utf8"

	"github.com/tidemill/tidemill/abi"
)

// Asked is the frame that an answer is judged against. Columns have all rows of the host's batch, of which the frame's items are
// rows [First, First+Items); they are what an answer may pass through.
type Asked struct {
	Kind     abi.Kind
	Sequence uint64
	Items    int      // rows of BATCH, entries of TIMERS, else 0
	Keys     int      // distinct keys, 0 where the port has none
	KeyOf    []uint32 // for each item; nil where the port has no key
	First    int
	Columns  []Column // BATCH frames: the port's whole schema, read by the guest or not; else nil
	Key      []Column // the key columns by item (row First+i belongs to item i); nil where the port has no key
}

// Answer is a decoded and valid answer. Its slices are views of guest memory: nothing of it may be used after the next call into
// the instance (I7).
type Answer struct {
	Consumed     int // items [0, Consumed) took full effect; the frame's items where the answer does not say
	Batches      []OutputRows
	States       []StateChanges
	Timers       *TimerChanges
	Metrics      []MetricUpdate
	Failure      *Failure // not nil: nothing of the frame takes effect
	Materialised int      // bytes of all output rows, what is passed through included
}

// OutputRows is one section BATCH of an answer.
type OutputRows struct {
	Port      int
	Rows      int
	ItemOf    []uint32 // the item of each row, or ItemNone; nil with Identity
	Identity  bool     // row i belongs to item i
	EventTime []int64  // nil where the port's column or the item gives it
	Columns   []Column
}

// StateChanges is the section STATE of an answer: changes to one state, to be applied in order.
type StateChanges struct {
	State   int
	Key     []uint32
	Op      []byte
	Columns []Column
}

// TimerChanges is the section TIMERS of an answer, to be applied in order.
type TimerChanges struct {
	Key        []uint32
	Name       []uint16
	Domain     []byte
	Op         []byte
	Time       []int64
	TagOffsets []int32 // one more than changes, the first 0
	Tags       []byte
}

// MetricUpdate adds to a counter or sets a gauge (float64 bits).
type MetricUpdate struct {
	Metric int
	Value  uint64
}

// Failure is the section ERROR of an answer.
type Failure struct {
	Code    uint32
	Item    int // -1: unknown
	Message string
	Place   string
}

// Decoder decodes and validates the answers of one binding. It keeps its memory from answer to answer: decoding an answer makes
// the one before invalid, and allocates nothing once the buffers have grown, errors aside. Not safe for concurrent use.
type Decoder struct {
	Binding      *abi.Binding
	BytesMax     int // of an answer, and of its output after passthrough is materialised: at most FrameBytesMax
	CellBytesMax int
	KeyBytesMax  int // of a map key

	answer  Answer
	timers  TimerChanges
	columns []Column

	memory   []byte
	frame    []byte
	absolute bool
	asked    *Asked
	keysSeen uint32 // keys of the consumed items: a change may name no other
	sections uint64 // ids of the sections seen
	states   uint64 // ids of the states seen
	itemless bool   // a row of the section under way has no item
}

// Decode reads the answer at address at of memory, n bytes long. It checks all of it, so that none of an invalid answer can take
// effect. The error is a *Violation.
func (d *Decoder) Decode(memory []byte, at, n uint32, asked *Asked) (*Answer, error) {
	d.memory, d.asked = memory, asked
	d.columns, d.sections, d.states = d.columns[:0], 0, 0
	d.answer = Answer{Consumed: asked.Items, Batches: d.answer.Batches[:0], States: d.answer.States[:0], Metrics: d.answer.Metrics[:0]}
	if at == 0 && n == 0 {
		return &d.answer, nil
	}
	if err := d.decode(at, n); err != nil {
		return nil, err
	}
	return &d.answer, nil
}

// DecodeChanges reads what state_apply is given: an answer frame that holds STATE sections only and no absolute addresses.
func (d *Decoder) DecodeChanges(data []byte, asked *Asked) ([]StateChanges, error) {
	d.memory, d.asked = data, asked
	d.columns, d.sections, d.states = d.columns[:0], 0, 0
	d.answer = Answer{Consumed: asked.Items, States: d.answer.States[:0]}
	if err := d.decodeChanges(data); err != nil {
		return nil, err.In("state_apply")
	}
	return d.answer.States, nil
}

func (d *Decoder) decodeChanges(data []byte) *abi.Violation {
	if len(data) > d.BytesMax {
		return abi.Broken("%d bytes, at most %d", len(data), d.BytesMax)
	}
	d.frame, d.absolute, d.keysSeen = data, false, uint32(d.asked.Keys)
	h, err := readHeader(data, 0)
	if err == nil {
		err = d.echoes(&h)
	}
	if err != nil {
		return err
	}
	for i := range h.sections {
		s, err := readSection(data, &h, i)
		if err != nil {
			return err
		}
		if s.id != abi.SectionState {
			return s.at(abi.Broken("only STATE sections are allowed"))
		}
		if err := d.state(&s); err != nil {
			return s.at(err)
		}
	}
	return nil
}

// echoes checks that an answer answers the frame.
func (d *Decoder) echoes(h *header) *abi.Violation {
	switch {
	case h.kind != d.asked.Kind:
		return abi.Broken("kind %s answers %s", h.kind, d.asked.Kind).In("header")
	case h.sequence != d.asked.Sequence:
		return abi.Broken("sequence %d answers %d", h.sequence, d.asked.Sequence).In("header")
	case h.slot != 0:
		return abi.Broken("slot %d answers slot 0", h.slot).In("header")
	}
	return nil
}

func (d *Decoder) decode(at, n uint32) *abi.Violation {
	if uint64(at)+uint64(n) > uint64(len(d.memory)) {
		return abi.Broken("%d bytes at address %d end after the memory (%d)", n, at, len(d.memory)).In("answer")
	}
	if uint64(n) > uint64(d.BytesMax) {
		return abi.Broken("%d bytes, at most %d", n, d.BytesMax).In("answer")
	}
	if at%abi.BufferAlign != 0 {
		return abi.Broken("address %d is not a multiple of %d", at, abi.BufferAlign).In("answer")
	}
	d.frame = d.memory[at : at+n : at+n]
	h, err := readHeader(d.frame, abi.FlagAbsolute)
	if err == nil {
		err = d.echoes(&h)
	}
	if err != nil {
		return err
	}
	d.absolute = h.flags&abi.FlagAbsolute != 0
	if err := d.consumed(&h); err != nil {
		return err
	}
	for i := range h.sections {
		s, err := readSection(d.frame, &h, i)
		if err != nil {
			return err
		}
		if err := d.section(&s); err != nil {
			return s.at(err)
		}
	}
	return nil
}

// consumed goes before all other sections: they are checked against the items that took effect.
func (d *Decoder) consumed(h *header) *abi.Violation {
	for i := range h.sections {
		s, err := readSection(d.frame, h, i)
		if err != nil {
			return err
		}
		if s.id != abi.SectionConsumed {
			continue
		}
		b, err := s.head(d.frame, abi.ConsumedSize)
		if err != nil {
			return s.at(err)
		}
		n := u32(b)
		if n == 0 || uint64(n) > uint64(d.asked.Items) {
			return s.at(abi.Broken("%d items of %d", n, d.asked.Items))
		}
		if u32(b[4:]) != 0 || s.index != 0 {
			return s.at(abi.Broken("a reserved field is not zero"))
		}
		d.answer.Consumed = int(n)
	}
	d.keysSeen = uint32(d.asked.Keys)
	if d.answer.Consumed < d.asked.Items && d.asked.KeyOf != nil {
		d.keysSeen = 0
		for _, k := range d.asked.KeyOf[:d.answer.Consumed] {
			d.keysSeen = max(d.keysSeen, k+1)
		}
	}
	return nil
}

func (d *Decoder) section(s *section) *abi.Violation {
	if s.id < abi.SectionContext || s.id > abi.SectionMerge {
		if s.must {
			return abi.Broken("unknown section, marked as must-understand")
		}
		return nil
	}
	if s.id != abi.SectionBatch && s.id != abi.SectionState {
		if s.index != 0 {
			return abi.Broken("index %d, not 0", s.index)
		}
		if d.sections&(1<<s.id) != 0 {
			return abi.Broken("appears twice")
		}
		d.sections |= 1 << s.id
	}
	switch s.id {
	case abi.SectionBatch:
		return d.rows(s)
	case abi.SectionState:
		return d.state(s)
	case abi.SectionTimers:
		return d.timerChanges(s)
	case abi.SectionConsumed:
		return nil
	case abi.SectionMetrics:
		return d.metrics(s)
	case abi.SectionError:
		return d.failure(s)
	case abi.SectionWatermark:
		return abi.Reserved(abi.FeatureWatermarks)
	case abi.SectionMerge:
		return abi.Reserved(abi.FeatureMerge)
	}
	return abi.Broken("the section belongs to frames from the host")
}

// columnsOf reads the columns of a section and checks them against their fields. Pass says whether a column may be passed
// through; ignored, where not nil, tells of rows whose values do not count.
func (d *Decoder) columnsOf(s *section, size int, counts []byte, rows int, fields []abi.FieldType, pass bool) ([]Column, *abi.Violation) {
	if n := u32(counts); uint64(n) != uint64(len(fields)) {
		return nil, abi.Broken("%d columns, declared are %d", n, len(fields))
	}
	nodes, err := s.nodes(d.frame, size, u32(counts), u32(counts[4:]))
	if err != nil {
		return nil, err
	}
	sp := space{frame: d.frame, low: s.low, end: s.end}
	if d.absolute {
		sp.memory = d.memory
	}
	from := len(d.columns)
	for i := range fields {
		c, rest, err := sp.column(nodes, rows, fields[i].Type)
		if err == nil && c.Pass != 0 && !pass {
			err = abi.Broken("nothing can be passed through here")
		}
		if err != nil {
			return nil, err.In("column %q", fields[i].Name)
		}
		nodes, d.columns = rest, append(d.columns, c)
	}
	if err := noNodes(nodes); err != nil {
		return nil, err
	}
	return d.columns[from:len(d.columns):len(d.columns)], nil
}

func (d *Decoder) rows(s *section) *abi.Violation {
	b, err := s.head(d.frame, abi.BatchSize)
	if err != nil {
		return err
	}
	if int(s.index) >= len(d.Binding.Outputs) {
		return abi.Broken("output port %d of %d", s.index, len(d.Binding.Outputs))
	}
	port := &d.Binding.Outputs[s.index]
	rows, flags := u32(b), u32(b[12:])
	if uint64(rows) > uint64(d.BytesMax) {
		return abi.Broken("%d rows do not fit %d bytes", rows, d.BytesMax)
	}
	if flags&^(abi.BatchIdentity|abi.BatchEventTime|abi.BatchKinds|abi.BatchInheritKinds) != 0 {
		return abi.Broken("unknown flags %#x", flags)
	}
	if u32(b[28:]) != 0 {
		return abi.Broken("the reserved field is not zero")
	}
	o := OutputRows{Port: int(s.index), Rows: int(rows), Identity: flags&abi.BatchIdentity != 0}
	sp := space{frame: d.frame, low: s.low, end: s.end}
	if err := d.itemOf(&sp, &o, u32(b[16:])); err != nil {
		return err
	}
	if err := d.eventTime(&sp, &o, port, flags, u32(b[20:])); err != nil {
		return err
	}
	if err := rowKinds(&sp, flags, u32(b[24:]), o.Rows); err != nil {
		return err
	}
	if o.Columns, err = d.columnsOf(s, abi.BatchSize, b[4:], o.Rows, port.Fields, true); err != nil {
		return err
	}
	if err := d.materialise(&o, port); err != nil {
		return err
	}
	if o.Rows > 0 {
		d.answer.Batches = append(d.answer.Batches, o)
	}
	return nil
}

func (d *Decoder) itemOf(sp *space, o *OutputRows, off uint32) *abi.Violation {
	d.itemless = false
	if o.Identity {
		if off != 0 {
			return abi.Broken("item_of beside the flag IDENTITY")
		}
		if o.Rows != d.answer.Consumed {
			return abi.Broken("%d rows with the flag IDENTITY, %d items were consumed", o.Rows, d.answer.Consumed)
		}
		return nil
	}
	raw, err := sp.array("item_of", off, o.Rows, 4)
	if err != nil {
		return err
	}
	o.ItemOf = uint32s(raw)
	consumed := uint32(d.answer.Consumed)
	for i, item := range o.ItemOf {
		if item >= consumed {
			if item != abi.ItemNone {
				return abi.Broken("row %d is of item %d, %d were consumed", i, item, consumed)
			}
			d.itemless = true
		}
	}
	return nil
}

func (d *Decoder) eventTime(sp *space, o *OutputRows, port *abi.BoundOutput, flags, off uint32) *abi.Violation {
	if flags&abi.BatchEventTime == 0 {
		if off != 0 {
			return abi.Broken("event times without their flag")
		}
		return nil
	}
	if port.EventTime >= 0 {
		return abi.Broken("event times beside the port's event time column %q", port.Fields[port.EventTime].Name)
	}
	raw, err := sp.array("event times", off, o.Rows, 8)
	o.EventTime = int64s(raw)
	return err
}

// rowKinds checks the row kinds of an append port, the only kind of port for now: there is nothing but inserts.
func rowKinds(sp *space, flags, off uint32, rows int) *abi.Violation {
	if flags&abi.BatchKinds == 0 {
		if off != 0 {
			return abi.Broken("row kinds without their flag")
		}
		return nil
	}
	if flags&abi.BatchInheritKinds != 0 {
		return abi.Broken("row kinds that are both inherited and given")
	}
	kinds, err := sp.array("row kinds", off, rows, 1)
	if err != nil {
		return err
	}
	if err := checkKinds(kinds); err != nil {
		return err
	}
	for i, k := range kinds {
		if k != abi.RowKindInsert {
			return abi.Broken("row kind %d of row %d in an append port", k, i)
		}
	}
	return nil
}

// materialise checks what is passed through and adds up what the rows take once the host has put them together: the columns,
// and 8 bytes a row each for event time and position.
func (d *Decoder) materialise(o *OutputRows, port *abi.BoundOutput) *abi.Violation {
	total := uint64(d.answer.Materialised) + uint64(o.Rows)*16
	for i := range o.Columns {
		c, field := &o.Columns[i], &port.Fields[i]
		var n uint64
		var err *abi.Violation
		if c.Pass == 0 {
			n = uint64(len(c.Validity) + 4*len(c.Offsets) + len(c.Values))
			if c.Elements != nil && o.Rows > 0 {
				n += uint64(c.elementBytes(0, c.Offsets[o.Rows]))
			}
			if c.Nulls > 0 && !field.Nullable {
				err = abi.Broken("%d nulls in a column that is not nullable", c.Nulls)
			}
		} else {
			n, err = d.passed(o, c, field)
		}
		if err != nil {
			return err.In("column %q", field.Name)
		}
		if total += n; total > uint64(d.BytesMax) {
			return abi.Broken("the output has more than %d bytes, what is passed through included", d.BytesMax)
		}
	}
	if total > uint64(d.BytesMax) {
		return abi.Broken("the output has more than %d bytes", d.BytesMax)
	}
	d.answer.Materialised = int(total)
	return nil
}

// passed checks a column that is passed through and returns the bytes of its rows.
func (d *Decoder) passed(o *OutputRows, c *Column, field *abi.FieldType) (uint64, *abi.Violation) {
	from, what := d.asked.Columns, "input"
	if c.Pass == abi.NodeKey {
		from, what = d.asked.Key, "key"
	}
	if uint64(c.Ref) >= uint64(len(from)) {
		return 0, abi.Broken("%s column %d of %d is passed through", what, c.Ref, len(from))
	}
	source := &from[c.Ref]
	if source.Type != field.Type {
		return 0, abi.Broken("%s column %d of type %s is passed through as %s", what, c.Ref, source.Type, field.Type)
	}
	if err := d.passedRows(o, source, field.Nullable); err != nil {
		return 0, err
	}
	rows, first := o.Rows, d.asked.First
	var n uint64
	if source.Nulls > 0 {
		n = uint64(bitmapBytes(rows))
	}
	switch {
	case source.Type == abi.Bool:
		return n + uint64(bitmapBytes(rows)), nil
	case source.Elements != nil:
		return n + 4*uint64(rows+1) + passedElements(o, source, first), nil
	case !source.Type.HasOffsets():
		return n + uint64(rows*source.Type.Width()), nil
	case o.Identity:
		return n + 4*uint64(rows+1) + uint64(source.Offsets[first+rows]-source.Offsets[first]), nil
	}
	n += 4 * uint64(rows+1)
	offsets := source.Offsets[first:]
	for _, item := range o.ItemOf {
		n += uint64(offsets[item+1] - offsets[item])
	}
	return n, nil
}

// passedElements is the bytes of the elements of a list that is passed through.
func passedElements(o *OutputRows, source *Column, first int) uint64 {
	if o.Identity {
		return uint64(source.elementBytes(source.Offsets[first], source.Offsets[first+o.Rows]))
	}
	var n uint64
	for _, item := range o.ItemOf {
		at := first + int(item)
		n += uint64(source.elementBytes(source.Offsets[at], source.Offsets[at+1]))
	}
	return n
}

// passedRows checks that every row has an item, and a value where one is needed.
func (d *Decoder) passedRows(o *OutputRows, source *Column, nullable bool) *abi.Violation {
	if d.itemless {
		return abi.Broken("a row has no item whose value could be passed through")
	}
	if nullable || source.Nulls == 0 {
		return nil
	}
	for i := range o.Rows {
		item := i
		if !o.Identity {
			item = int(o.ItemOf[i])
		}
		if source.null(d.asked.First + item) {
			return abi.Broken("row %d passes a null through, the column is not nullable", i)
		}
	}
	return nil
}

func (d *Decoder) state(s *section) *abi.Violation {
	b, err := s.head(d.frame, abi.StateSize)
	if err != nil {
		return err
	}
	if d.asked.KeyOf == nil {
		return abi.Broken("the frame has no keys")
	}
	if int(s.index) >= len(d.Binding.States) {
		return abi.Broken("state %d of %d", s.index, len(d.Binding.States))
	}
	if d.states&(1<<s.index) != 0 {
		return abi.Broken("appears twice")
	}
	d.states |= 1 << s.index
	declared := &d.Binding.States[s.index]
	if k := abi.StateKind(u32(b[4:])); k != declared.Kind {
		return abi.Broken("%s, declared is %s", k, declared.Kind)
	}
	if binary.LittleEndian.Uint64(b[24:]) != 0 {
		return abi.Broken("a reserved field is not zero")
	}
	n := u32(b)
	if uint64(n) > uint64(len(d.frame)) {
		return abi.Broken("%d changes do not fit the frame", n)
	}
	sp := space{frame: d.frame, low: s.low, end: s.end}
	c := StateChanges{State: int(s.index)}
	keys, err := sp.array("key indexes", u32(b[16:]), int(n), 4)
	if err != nil {
		return err
	}
	if c.Op, err = sp.array("operations", u32(b[20:]), int(n), 1); err != nil {
		return err
	}
	c.Key = uint32s(keys)
	if err := d.changes(&c, declared.Kind); err != nil {
		return err
	}
	if c.Columns, err = d.columnsOf(s, abi.StateSize, b[8:], int(n), declared.Fields, false); err != nil {
		return err
	}
	if err := d.cells(&c, declared); err != nil {
		return err
	}
	if n > 0 {
		d.answer.States = append(d.answer.States, c)
	}
	return nil
}

func (d *Decoder) changes(c *StateChanges, kind abi.StateKind) *abi.Violation {
	for i, key := range c.Key {
		if key >= d.keysSeen {
			return abi.Broken("change %d is to key %d, the consumed items have %d", i, key, d.keysSeen)
		}
	}
	for i, op := range c.Op {
		legal := false
		switch op {
		case abi.OpSet:
			legal = kind != abi.StateList
		case abi.OpClear:
			legal = true
		case abi.OpAppend:
			legal = kind == abi.StateList
		case abi.OpClearAll:
			legal = kind == abi.StateMap
		}
		if !legal {
			return abi.Broken("operation %d of change %d to a %s state", op, i, kind)
		}
	}
	return nil
}

// cells checks the values that changes write: nulls against the declaration, sizes against the limits.
func (d *Decoder) cells(c *StateChanges, declared *abi.BoundState) *abi.Violation {
	for i := range c.Columns {
		column, field := &c.Columns[i], &declared.Fields[i]
		if column.Nulls == 0 || field.Nullable {
			continue
		}
		for row, op := range c.Op {
			counts := op == abi.OpSet || op == abi.OpAppend || (op == abi.OpClear && i < declared.Keys)
			if counts && column.null(row) {
				return abi.Broken("change %d writes null to column %q, which is not nullable", row, field.Name)
			}
		}
	}
	if err := rowBytes(c.Columns[:declared.Keys], c.Op, d.KeyBytesMax, "map key"); err != nil {
		return err
	}
	return rowBytes(c.Columns[declared.Keys:], c.Op, d.CellBytesMax, "cell")
}

// rowBytes checks that no row takes more than limit bytes. Rows are only looked at one by one where all of them together could.
func rowBytes(columns []Column, op []byte, limit int, what string) *abi.Violation {
	fixed, total := 0, 0
	for i := range columns {
		switch c := &columns[i]; {
		case c.Type.HasOffsets():
			total += len(c.Values)
		case c.Elements != nil && len(op) > 0:
			total += c.elementBytes(0, c.Offsets[len(op)])
		default:
			fixed += max(c.Type.Width(), 1)
		}
	}
	if fixed+total <= limit {
		return nil
	}
	for row := range op {
		n := fixed
		for i := range columns {
			switch c := &columns[i]; {
			case c.Type.HasOffsets():
				n += int(c.Offsets[row+1] - c.Offsets[row])
			case c.Elements != nil:
				n += c.elementBytes(c.Offsets[row], c.Offsets[row+1])
			}
		}
		if n > limit {
			return abi.Broken("the %s of change %d has %d bytes, at most %d", what, row, n, limit)
		}
	}
	return nil
}

func (d *Decoder) timerChanges(s *section) *abi.Violation {
	b, err := s.head(d.frame, abi.TimersSize)
	if err != nil {
		return err
	}
	if d.asked.KeyOf == nil {
		return abi.Broken("the frame has no keys")
	}
	n := u32(b)
	if uint64(n) > uint64(len(d.frame)) {
		return abi.Broken("%d changes do not fit the frame", n)
	}
	if u32(b[4:]) != 0 || !zero(b[40:]) {
		return abi.Broken("a reserved field is not zero")
	}
	sp := space{frame: d.frame, low: s.low, end: s.end}
	if d.timers, err = readTimerFields(&sp, b, int(n)); err != nil {
		return err
	}
	t := &d.timers
	if t.Op, err = sp.array("operations", u32(b[20:]), int(n), 1); err != nil {
		return err
	}
	d.answer.Timers = t
	for i, op := range t.Op {
		switch {
		case t.Key[i] >= d.keysSeen:
			return abi.Broken("change %d is to key %d, the consumed items have %d", i, t.Key[i], d.keysSeen)
		case op < abi.TimerSet || op > abi.TimerDeleteKey:
			return abi.Broken("operation %d of change %d", op, i)
		case op != abi.TimerDeleteKey && int(t.Name[i]) >= len(d.Binding.Timers):
			return abi.Broken("change %d is to timer name %d of %d", i, t.Name[i], len(d.Binding.Timers))
		case t.Domain[i] > abi.DomainProcessing:
			return abi.Broken("domain %d of change %d", t.Domain[i], i)
		}
	}
	return nil
}

func (d *Decoder) metrics(s *section) *abi.Violation {
	b, err := s.head(d.frame, abi.MetricsSize)
	if err != nil {
		return err
	}
	n := u32(b)
	if u32(b[4:]) != 0 {
		return abi.Broken("a reserved field is not zero")
	}
	if uint64(n)*abi.MetricEntrySize > uint64(s.end-s.low-abi.MetricsSize) {
		return abi.Broken("%d entries do not fit the section", n)
	}
	for i := range int(n) {
		e := d.frame[s.low+abi.MetricsSize+i*abi.MetricEntrySize:][:abi.MetricEntrySize]
		id := binary.LittleEndian.Uint16(e)
		if int(id) >= len(d.Binding.Metrics) {
			return abi.Broken("metric %d of %d", id, len(d.Binding.Metrics))
		}
		if !zero(e[2:8]) {
			return abi.Broken("a reserved field is not zero")
		}
		d.answer.Metrics = append(d.answer.Metrics, MetricUpdate{Metric: int(id), Value: binary.LittleEndian.Uint64(e[8:])})
	}
	return nil
}

func (d *Decoder) failure(s *section) *abi.Violation {
	b, err := s.head(d.frame, abi.ErrorSize)
	if err != nil {
		return err
	}
	code, item := u32(b), int32(u32(b[4:]))
	message, place := u32(b[8:]), u32(b[12:])
	if code < abi.ErrorCodeUser || code > abi.ErrorCodeUnexpected {
		return abi.Broken("unknown code %d", code)
	}
	if item < -1 || int(item) >= d.asked.Items {
		return abi.Broken("item %d of %d", item, d.asked.Items)
	}
	if message > abi.ErrorMessageBytes || place > abi.ErrorMessageBytes {
		return abi.Broken("a message of %d and a place of %d bytes, at most %d", message, place, abi.ErrorMessageBytes)
	}
	if int(message+place) > s.end-s.low-abi.ErrorSize {
		return abi.Broken("a message of %d and a place of %d bytes do not fit the section", message, place)
	}
	text := d.frame[s.low+abi.ErrorSize:][:message+place]
	if !utf8.Valid(text[:message]) || !utf8.Valid(text[message:]) {
		return abi.Broken("the message or the place is not valid UTF-8")
	}
	d.answer.Failure = &Failure{Code: code, Item: int(item), Message: abi.CleanText(text[:message]), Place: abi.CleanText(text[message:])}
	return nil
}
