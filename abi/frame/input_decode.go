package frame

import (
	"encoding/binary"

	"github.com/tidemill/tidemill/abi"
)

// DecodeInput reads an input frame, as a guest does, and checks all of it. The result's slices are views of frame, which must be
// 16-aligned. An error is a *Violation. Ids are not checked against a descriptor.
func DecodeInput(frame []byte) (*Input, error) {
	h, err := readHeader(frame, 0)
	if err != nil {
		return nil, err
	}
	switch {
	case h.kind == abi.KindAggregate:
		return nil, abi.Reserved(abi.FeatureAggregate).In("header")
	case h.kind == abi.KindMigrate:
		return nil, abi.Reserved(abi.FeatureMigrate).In("header")
	case h.kind < abi.KindBatch || h.kind > abi.KindEnd:
		return nil, abi.Broken("unknown kind %d", uint16(h.kind)).In("header")
	case h.slot != 0:
		return nil, abi.Reserved(abi.FeatureSlots).In("header")
	}
	d := inputDecoder{frame: frame, in: &Input{Kind: h.kind, Sequence: h.sequence}}
	for i := range h.sections {
		s, err := readSection(frame, &h, i)
		if err == nil {
			err = d.section(&s)
		}
		if err != nil {
			return nil, err
		}
	}
	if err := d.complete(); err != nil {
		return nil, err
	}
	return d.in, nil
}

type inputDecoder struct {
	frame   []byte
	in      *Input
	context bool
}

func (d *inputDecoder) section(s *section) *abi.Violation {
	var err *abi.Violation
	twice := false
	switch s.id {
	case abi.SectionContext:
		twice, d.context = d.context, true
		err = d.readContext(s)
	case abi.SectionBatch:
		twice = d.in.Batch != nil
		err = d.readRows(s)
	case abi.SectionKeys:
		twice = d.in.Keys != nil
		err = d.readKeys(s)
	case abi.SectionState:
		if n := len(d.in.States); n > 0 && d.in.States[n-1].State >= s.index {
			return s.at(abi.Broken("states are not in ascending order"))
		}
		err = d.readState(s)
	case abi.SectionTimers:
		twice = d.in.Timers != nil
		err = d.readTimers(s)
	default:
		if s.must {
			return s.at(abi.Broken("unknown here, and marked as must-understand"))
		}
		return nil
	}
	if err == nil && twice {
		err = abi.Broken("appears twice")
	}
	if err == nil && s.index != 0 && s.id != abi.SectionState {
		err = abi.Broken("index %d, not 0", s.index)
	}
	if err != nil {
		return s.at(err)
	}
	return nil
}

// complete checks that the sections fit each other and the kind.
func (d *inputDecoder) complete() *abi.Violation {
	in := d.in
	if !d.context {
		return abi.Broken("no CONTEXT").In("frame")
	}
	if (in.Batch != nil) != (in.Kind == abi.KindBatch) {
		return abi.Broken("BATCH and kind %s do not go together", in.Kind).In("frame")
	}
	if (in.Timers != nil) != (in.Kind == abi.KindTimers) {
		return abi.Broken("TIMERS and kind %s do not go together", in.Kind).In("frame")
	}
	if (in.Context.Port == abi.NoPort) != (in.Kind != abi.KindBatch) {
		return abi.Broken("input port %d in kind %s", in.Context.Port, in.Kind).In("frame")
	}
	items := 0
	switch {
	case in.Batch != nil:
		items = in.Batch.Rows
	case in.Timers != nil:
		items = in.Timers.N()
	}
	keys := 0
	if in.Keys != nil {
		keys = in.Keys.N
		if len(in.Keys.KeyOf) != items {
			return abi.Broken("%d items, the frame has %d", len(in.Keys.KeyOf), items).In("KEYS(0)")
		}
	}
	if in.Timers != nil {
		for i, k := range in.Timers.Key {
			if in.Keys == nil || k != in.Keys.KeyOf[i] {
				return abi.Broken("key %d of entry %d is not that of KEYS", k, i).In("TIMERS(0)")
			}
		}
	}
	for i := range in.States {
		if n := len(in.States[i].Status); n != keys {
			return abi.Broken("%d cells, the frame has %d keys", n, keys).In("STATE(%d)", in.States[i].State)
		}
	}
	return nil
}

func (d *inputDecoder) readContext(s *section) *abi.Violation {
	b, err := s.head(d.frame, abi.ContextSize)
	if err != nil {
		return err
	}
	d.in.Context = Context{
		Watermark:      int64(binary.LittleEndian.Uint64(b)),
		ProcessingTime: int64(binary.LittleEndian.Uint64(b[8:])),
		Seed:           binary.LittleEndian.Uint64(b[16:]),
		Port:           binary.LittleEndian.Uint16(b[24:]),
	}
	if !zero(b[26:]) {
		return abi.Broken("the reserved field is not zero")
	}
	return nil
}

func (d *inputDecoder) columns(s *section, size int, head []byte, rows int) ([]Column, *abi.Violation) {
	nodes, err := s.nodes(d.frame, size, u32(head), u32(head[4:]))
	if err != nil {
		return nil, err
	}
	sp := space{frame: d.frame, low: s.low, end: s.end}
	var columns []Column
	for i := range int(u32(head)) {
		c, rest, err := sp.column(nodes, rows, 0)
		if err == nil && c.Pass != 0 {
			err = abi.Broken("an input frame passes nothing through")
		}
		if err != nil {
			return nil, err.In("column %d", i)
		}
		nodes, columns = rest, append(columns, c)
	}
	return columns, noNodes(nodes)
}

func (d *inputDecoder) readRows(s *section) *abi.Violation {
	b, err := s.head(d.frame, abi.BatchSize)
	if err != nil {
		return err
	}
	rows, flags := u32(b), u32(b[12:])
	if rows == 0 || rows > abi.RowsMax {
		return abi.Broken("%d rows, 1 to %d are allowed", rows, abi.RowsMax)
	}
	if flags&^(abi.BatchEventTime|abi.BatchKinds) != 0 {
		return abi.Broken("flags %#x", flags)
	}
	r := &Rows{Rows: int(rows)}
	d.in.Batch = r
	sp := space{frame: d.frame, low: s.low, end: s.end}
	if flags&abi.BatchEventTime != 0 {
		raw, err := sp.array("event times", u32(b[20:]), r.Rows, 8)
		if err != nil {
			return err
		}
		r.EventTime = int64s(raw)
	} else if u32(b[20:]) != 0 {
		return abi.Broken("event times without their flag")
	}
	if flags&abi.BatchKinds != 0 {
		if r.Kinds, err = sp.array("row kinds", u32(b[24:]), r.Rows, 1); err != nil {
			return err
		}
		if err := checkKinds(r.Kinds); err != nil {
			return err
		}
	} else if u32(b[24:]) != 0 {
		return abi.Broken("row kinds without their flag")
	}
	if u32(b[16:]) != 0 || u32(b[28:]) != 0 {
		return abi.Broken("a reserved field is not zero")
	}
	r.Columns, err = d.columns(s, abi.BatchSize, b[4:], r.Rows)
	return err
}

func checkKinds(kinds []byte) *abi.Violation {
	for i, k := range kinds {
		if k > abi.RowKindDelete {
			return abi.Broken("row kind %d of row %d", k, i)
		}
	}
	return nil
}

func (d *inputDecoder) readKeys(s *section) *abi.Violation {
	b, err := s.head(d.frame, abi.KeysSize)
	if err != nil {
		return err
	}
	items, keys := u32(b), u32(b[4:])
	if items > abi.RowsMax || keys > items {
		return abi.Broken("%d keys of %d items, at most %d", keys, items, abi.RowsMax)
	}
	if !zero(b[20:]) {
		return abi.Broken("a reserved field is not zero")
	}
	sp := space{frame: d.frame, low: s.low, end: s.end}
	raw, err := sp.array("key_of", u32(b[16:]), int(items), 4)
	if err != nil {
		return err
	}
	k := &Keys{N: int(keys), KeyOf: uint32s(raw)}
	d.in.Keys = k
	next := uint32(0)
	for i, key := range k.KeyOf {
		if key > next || key >= keys {
			return abi.Broken("key %d of item %d is not in first-appearance order below %d", key, i, keys)
		}
		if key == next {
			next++
		}
	}
	if next != keys {
		return abi.Broken("%d keys of which %d have items", keys, next)
	}
	k.Columns, err = d.columns(s, abi.KeysSize, b[8:], k.N)
	return err
}

func (d *inputDecoder) readState(s *section) *abi.Violation {
	b, err := s.head(d.frame, abi.StateSize)
	if err != nil {
		return err
	}
	st := StateIn{State: s.index, Kind: abi.StateKind(u32(b[4:]))}
	keys, entries := u32(b), u32(b[24:])
	if st.Kind < abi.StateValue || st.Kind > abi.StateMap {
		return abi.Broken("unknown state kind %d", uint32(st.Kind))
	}
	if keys > abi.RowsMax || int64(entries) > abi.FrameBytesMax {
		return abi.Broken("%d keys, %d entries", keys, entries)
	}
	if u32(b[28:]) != 0 {
		return abi.Broken("a reserved field is not zero")
	}
	st.Entries = int(entries)
	sp := space{frame: d.frame, low: s.low, end: s.end}
	if st.Status, err = sp.array("status", u32(b[16:]), int(keys), 1); err != nil {
		return err
	}
	for k, status := range st.Status {
		if status > abi.StatusAsk {
			return abi.Broken("status %d of key %d", status, k)
		}
	}
	if st.Kind == abi.StateValue {
		if u32(b[20:]) != 0 || entries != keys {
			return abi.Broken("a value state has one entry a key and no start array")
		}
	} else if err := st.readStart(&sp, u32(b[20:]), int(keys)); err != nil {
		return err
	}
	st.Columns, err = d.columns(s, abi.StateSize, b[8:], st.Entries)
	d.in.States = append(d.in.States, st)
	return err
}

func (st *StateIn) readStart(sp *space, off uint32, keys int) *abi.Violation {
	raw, err := sp.array("start", off, keys+1, 4)
	if err != nil {
		return err
	}
	st.Start = uint32s(raw)
	last := uint32(0)
	for k, at := range st.Start {
		if at < last || (k == 0 && at != 0) {
			return abi.Broken("start %d of key %d", at, k)
		}
		if k > 0 && at > last && st.Status[k-1] != abi.StatusInline {
			return abi.Broken("entries of key %d, which is not inline", k-1)
		}
		last = at
	}
	if uint64(last) != uint64(st.Entries) {
		return abi.Broken("the start array ends at %d of %d entries", last, st.Entries)
	}
	return nil
}

func (d *inputDecoder) readTimers(s *section) *abi.Violation {
	b, err := s.head(d.frame, abi.TimersSize)
	if err != nil {
		return err
	}
	n := u32(b)
	if n == 0 || n > abi.RowsMax {
		return abi.Broken("%d timers, 1 to %d are allowed", n, abi.RowsMax)
	}
	if u32(b[4:]) != 0 || u32(b[20:]) != 0 || !zero(b[40:]) {
		return abi.Broken("a reserved field is not zero")
	}
	sp := space{frame: d.frame, low: s.low, end: s.end}
	f, err := readTimerFields(&sp, b, int(n))
	if err != nil {
		return err
	}
	d.in.Timers = &TimersIn{Key: f.Key, Name: f.Name, Domain: f.Domain, Time: f.Time, TagOffsets: f.TagOffsets, Tags: f.Tags}
	for i, domain := range f.Domain {
		if domain > abi.DomainProcessing {
			return abi.Broken("domain %d of entry %d", domain, i)
		}
	}
	return nil
}

// readTimerFields reads what TIMERS sections of both directions have in common: all arrays but op.
func readTimerFields(sp *space, b []byte, n int) (TimerChanges, *abi.Violation) {
	var t TimerChanges
	key, err := sp.array("keys", u32(b[8:]), n, 4)
	if err != nil {
		return t, err
	}
	name, err := sp.array("names", u32(b[12:]), n, 2)
	if err != nil {
		return t, err
	}
	if t.Domain, err = sp.array("domains", u32(b[16:]), n, 1); err != nil {
		return t, err
	}
	times, err := sp.array("times", u32(b[24:]), n, 8)
	if err != nil {
		return t, err
	}
	offsets, err := sp.array("tag offsets", u32(b[28:]), n+1, 4)
	if err != nil {
		return t, err
	}
	if t.Tags, err = sp.array("tags", u32(b[32:]), int(u32(b[36:])), 1); err != nil {
		return t, err
	}
	t.Key, t.Name, t.Time, t.TagOffsets = uint32s(key), uint16s(name), int64s(times), int32s(offsets)
	last := int32(0)
	for i, o := range t.TagOffsets {
		switch {
		case o < last || (i == 0 && o != 0):
			return t, abi.Broken("tag offset %d of entry %d", o, i)
		case o-last > abi.TagBytesMax:
			return t, abi.Broken("the tag of entry %d has %d bytes, at most %d", i-1, o-last, abi.TagBytesMax)
		}
		last = o
	}
	if uint64(last) > uint64(len(t.Tags)) {
		return t, abi.Broken("the tags end at %d of %d bytes", last, len(t.Tags))
	}
	return t, nil
}
