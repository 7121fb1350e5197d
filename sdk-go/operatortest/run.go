package operatortest

import (
	"math"
	"slices"

	"github.com/tidemill/tidemill/sdk-go/internal/abi"
	"github.com/tidemill/tidemill/sdk-go/internal/row"
)

// item is a row, a timer, or a callback.
type item struct {
	port  string
	sent  any
	row   values // in the order of the port's schema
	timer timer
	key   string // of a timer
	time  int64  // event time
}

// running is the frame under way, which the host functions refer to.
type running struct {
	kind    abi.Kind
	port    int
	items   []item
	keys    []values
	keyOf   []uint32
	names   []string // keys as they are stored under
	applied []*stateStore
	scans   []*scan
}

// run has all items take effect or be rejected: the one algorithm of the contract for errors, traps and what was not consumed.
func (h *Harness) run(kind abi.Kind, port int, items []item) {
	h.t.Helper()
	single := false
	for len(items) > 0 {
		n := len(items)
		if kind == abi.KindBatch {
			n = min(n, abi.RowsMax)
		}
		if single {
			n = 1
		} else if h.random != nil {
			n = 1 + h.random.IntN(n)
		}
		consumed, failed := h.frame(kind, port, items[:n])
		switch {
		case failed == nil:
			items = items[consumed:]
		case failed.item < 0 && n > 1:
			single = true
		default:
			if failed.item > 0 {
				h.run(kind, port, items[:failed.item])
				items = items[failed.item:]
			}
			h.reject(items[0], failed.Error)
			items = items[1:]
		}
	}
}

// failure is a frame of which nothing took effect.
type failure struct {
	Error
	item int
}

func (h *Harness) reject(it item, e Error) {
	e.Port, e.Row = it.port, it.sent
	if it.timer.key != "" {
		e.Timer = h.descriptor.Timers[it.timer.name].Name
		h.unset(it.timer)
	}
	h.errors = append(h.errors, e)
}

// unset removes a timer that has fired.
func (h *Harness) unset(t timer) {
	list := slices.Clone(h.store.timers[t.key])
	if i := slices.Index(list, t); i >= 0 {
		h.store.timers[t.key] = slices.Delete(list, i, i+1)
	}
}

// frame runs one frame, and has what it did take effect.
func (h *Harness) frame(kind abi.Kind, port int, items []item) (consumed int, failed *failure) {
	h.t.Helper()
	if h.random != nil && h.random.IntN(8) == 0 {
		if err := h.replace(); err != nil {
			h.t.Fatalf("opening operator %s again: %v", h.entry, err)
		}
	}
	h.sequence++
	r := &running{kind: kind, port: port, items: items}
	h.running = r
	defer func() {
		h.running = nil
		if e := recover(); e != nil {
			broke, ok := e.(decodeError)
			if !ok {
				panic(e)
			}
			h.t.Fatalf("the SDK's answer breaks the contract: %s", string(broke))
		}
	}()
	data := h.encode(r)
	answer, failed := h.process(data, len(items))
	if failed != nil {
		return 0, failed
	}
	consumed, failed = h.decode(r, answer)
	for i := range data {
		data[i] = '#' // a view that was kept shows
	}
	return consumed, failed
}

// process calls the operator and turns a panic into a failure; the instance is gone then.
func (h *Harness) process(data []byte, items int) (answer []byte, failed *failure) {
	slot := h.slot
	defer func() {
		if p := recover(); p != nil {
			if broke, ok := p.(decodeError); ok {
				panic(broke)
			}
			message, place := slot.Fault()
			failed = &failure{Error{Message: message, Place: place, Panic: true}, int(int32(slot.Cursor.Item))}
			if failed.item >= items {
				failed.item = -1
			}
			if err := h.replace(); err != nil {
				h.t.Fatalf("opening operator %s again: %v", h.entry, err)
			}
		}
	}()
	return slot.Process(data), nil
}

// encode makes the frame.
func (h *Harness) encode(r *running) []byte {
	h.resolveKeys(r)
	e := newFrame(r.kind, h.sequence, 4+len(h.store.states))
	context := e.open(abi.SectionContext, 0, abi.ContextSize, 0)
	little.PutUint64(e.b[context:], uint64(h.watermark))
	little.PutUint64(e.b[context+8:], uint64(h.now))
	little.PutUint64(e.b[context+16:], h.config.Shake^h.sequence)
	little.PutUint16(e.b[context+24:], uint16(r.port))
	e.close()
	var prefetch []string
	needsKey := false
	switch r.kind {
	case abi.KindBatch:
		bind := h.descriptor.Inputs[r.port]
		prefetch, needsKey = bind.Prefetch, bind.NeedsKey
		h.encodeRows(e, r, bind)
	case abi.KindTimers:
		for _, bind := range h.descriptor.Inputs {
			needsKey = needsKey || bind.NeedsKey
		}
		for _, it := range r.items {
			prefetch = append(prefetch, h.descriptor.Timers[it.timer.name].Prefetch...)
		}
		encodeTimers(e, r)
	}
	if r.keyOf != nil {
		h.encodeKeys(e, r, needsKey)
		for id, st := range h.store.states {
			if slices.Contains(prefetch, st.bind.Name) {
				h.encodeState(e, r, id, st)
			}
		}
	}
	little.PutUint32(e.b[12:], uint32(e.sections))
	return e.finish()
}

// resolveKeys finds the distinct keys of the items, in the order of their first appearance.
func (h *Harness) resolveKeys(r *running) {
	if len(h.request.Key) == 0 || r.kind == abi.KindWatermark || r.kind == abi.KindEnd {
		return
	}
	index := map[string]uint32{}
	for _, it := range r.items {
		var key values
		name := it.key
		if r.kind == abi.KindBatch {
			for _, column := range h.request.Key {
				i := slices.IndexFunc(h.inputs[it.port], func(f field) bool { return f.Name == column.Name })
				key = append(key, it.row[i])
			}
			name = keyBytes(key)
			h.store.keys[name] = key
		}
		if _, known := index[name]; !known {
			index[name] = uint32(len(r.keys))
			r.keys = append(r.keys, h.store.keys[name])
			r.names = append(r.names, name)
		}
		r.keyOf = append(r.keyOf, index[name])
	}
}

func u32s(list []uint32) (b []byte) {
	for _, n := range list {
		b = little.AppendUint32(b, n)
	}
	return b
}

func (h *Harness) encodeRows(e *encoder, r *running, bind abi.BindInput) {
	schema := h.inputs[h.description.Inputs[r.port].Name]
	var types []row.Type
	rows := make([]values, len(r.items))
	for _, name := range bind.Columns {
		i := slices.IndexFunc(schema, func(f field) bool { return f.Name == name })
		types = append(types, schema[i].typ)
		for j, it := range r.items {
			rows[j] = append(rows[j], it.row[i])
		}
	}
	nodes := nodesOf(types)
	head := e.open(abi.SectionBatch, 0, abi.BatchSize, nodes, uint32(len(rows)), uint32(len(types)), uint32(nodes))
	if bind.EventTime {
		var times []byte
		for _, it := range r.items {
			times = little.AppendUint64(times, uint64(it.time))
		}
		little.PutUint32(e.b[head+12:], abi.BatchEventTime)
		e.array(head+20, times)
	}
	e.columns(head+abi.BatchSize, types, rows)
	e.close()
}

func (h *Harness) encodeKeys(e *encoder, r *running, typed bool) {
	columns := types(h.request.Key)
	if !typed {
		columns = nil
	}
	head := e.open(abi.SectionKeys, 0, abi.KeysSize, len(columns),
		uint32(len(r.items)), uint32(len(r.keys)), uint32(len(columns)), uint32(len(columns)))
	e.array(head+16, u32s(r.keyOf))
	e.columns(head+abi.KeysSize, columns, r.keys)
	e.close()
}

func (h *Harness) encodeState(e *encoder, r *running, id int, st *stateStore) {
	columns := st.all()
	var status []byte
	var rows []values
	start := []uint32{0}
	for _, name := range r.names {
		cell := st.rows(name, h.now)
		s := byte(abi.StatusInline)
		if cell == nil {
			s = abi.StatusAbsent
		}
		if h.random != nil && h.random.IntN(4) == 0 {
			s, cell = abi.StatusAsk, nil
		}
		status = append(status, s)
		if st.kind == abi.StateValue && cell == nil {
			cell = []values{make(values, len(columns))}
		}
		rows = append(rows, cell...)
		start = append(start, uint32(len(rows)))
	}
	nodes := nodesOf(columns)
	head := e.open(abi.SectionState, id, abi.StateSize, nodes, uint32(len(r.names)), uint32(st.kind), uint32(len(columns)), uint32(nodes))
	e.array(head+16, status)
	if st.kind != abi.StateValue {
		e.array(head+20, u32s(start))
		little.PutUint32(e.b[head+24:], uint32(len(rows)))
	}
	e.columns(head+abi.StateSize, columns, rows)
	e.close()
}

func encodeTimers(e *encoder, r *running) {
	var keys, names, domains, times, ends, tags []byte
	ends = little.AppendUint32(ends, 0)
	for i, it := range r.items {
		keys = little.AppendUint32(keys, r.keyOf[i])
		names = little.AppendUint16(names, uint16(it.timer.name))
		domains = append(domains, it.timer.domain)
		times = little.AppendUint64(times, uint64(it.timer.time))
		tags = append(tags, it.timer.tag...)
		ends = little.AppendUint32(ends, uint32(len(tags)))
	}
	head := e.open(abi.SectionTimers, 0, abi.TimersSize, 0, uint32(len(r.items)))
	for field, data := range map[int][]byte{8: keys, 12: names, 16: domains, 24: times, 28: ends, 32: tags} {
		e.array(head+field, data)
	}
	little.PutUint32(e.b[head+36:], uint32(len(tags)))
	e.close()
}

// decode has an answer take effect.
func (h *Harness) decode(r *running, answer []byte) (consumed int, failed *failure) {
	consumed = len(r.items)
	d := decoder(answer)
	var sections []section
	if answer != nil {
		sections = d.sections(r.kind, h.sequence)
	}
	for _, s := range sections {
		switch s.id {
		case abi.SectionError:
			return 0, &failure{Error{Message: string(d.bytes(s.at+abi.ErrorSize, d.u32(s.at+8)))}, int(int32(d.u32(s.at + 4)))}
		case abi.SectionConsumed:
			if consumed = d.u32(s.at); consumed < 1 || consumed >= len(r.items) {
				broken("%d of %d items consumed", consumed, len(r.items))
			}
		}
	}
	if r.kind == abi.KindTimers {
		for _, it := range r.items[:consumed] {
			h.unset(it.timer)
		}
	}
	for id, st := range r.applied {
		if st != nil {
			h.store.states[id] = st
		}
	}
	for _, s := range sections {
		switch s.id {
		case abi.SectionBatch:
			h.decodeRows(d, r, s, consumed)
		case abi.SectionState:
			decodeState(d, r, h.store.states[s.index], s.at, h.now)
		case abi.SectionTimers:
			h.decodeTimers(d, r, s.at)
		case abi.SectionMetrics:
			h.decodeMetrics(d, s.at)
		}
	}
	return consumed, nil
}

func (h *Harness) decodeRows(d decoder, r *running, s section, consumed int) {
	out := h.descriptor.Outputs[s.index]
	n, flags := d.u32(s.at), d.u32(s.at+12)
	var itemOf []int
	if flags&abi.BatchIdentity != 0 {
		if n != consumed {
			broken("%d rows for %d items with the flag IDENTITY", n, consumed)
		}
		for i := range n {
			itemOf = append(itemOf, i)
		}
	} else {
		itemOf = d.u32s(s.at+16, n)
	}
	for i, row := range d.columns(s.at+abi.BatchSize, types(out.Schema), n, true) {
		h.outputs[s.index] = append(h.outputs[s.index], h.emitted(r, out, row, itemOf[i], consumed))
	}
}

func (h *Harness) emitted(r *running, out abi.BindOutput, row values, it, consumed int) emitted {
	e := emitted{row: row, time: h.watermark}
	if it != abi.ItemNone && len(r.items) > 0 {
		if it >= consumed {
			broken("a row of item %d, %d were consumed", it, consumed)
		}
		if r.kind == abi.KindBatch || r.kind == abi.KindTimers {
			e.time = r.items[it].time
		}
	}
	for i, v := range row {
		switch v := v.(type) {
		case passed:
			if v.key {
				row[i] = r.keys[r.keyOf[it]][v.index]
			} else if r.kind == abi.KindBatch {
				row[i] = r.items[it].row[v.index]
			} else {
				broken("port %s passes input columns through where there is no row", out.Name)
			}
		case nil:
			if !out.Schema[i].Nullable {
				broken("null in column %s of port %s", out.Schema[i].Name, out.Name)
			}
		}
		if out.Schema[i].Name == out.EventTime {
			e.time = row[i].(int64)
		}
	}
	return e
}

func decodeState(d decoder, r *running, st *stateStore, at int, now int64) {
	n := d.u32(at)
	if d.u32(at+4) != int(st.kind) || d.u32(at+8) != len(st.all()) || d.u32(at+12) != nodesOf(st.all()) {
		broken("changes of kind %d with %d columns and %d nodes to %s", d.u32(at+4), d.u32(at+8), d.u32(at+12), st.bind.Name)
	}
	keys, ops := d.u32s(at+16, n), d.array(at+20, n, 1)
	for i, row := range d.columns(at+abi.StateSize, st.all(), n, false) {
		st.apply(r.names[keys[i]], int(ops[i]), row, now)
	}
}

func (h *Harness) decodeTimers(d decoder, r *running, at int) {
	n := d.u32(at)
	keys, ends := d.u32s(at+8, n), d.u32s(at+28, n+1)
	names, domains, ops, times := d.array(at+12, n, 2), d.array(at+16, n, 1), d.array(at+20, n, 1), d.array(at+24, n, 8)
	tags := d.array(at+32, d.u32(at+36), 1)
	for i := range n {
		t := timer{
			key: r.names[keys[i]], name: int(little.Uint16(names[2*i:])), domain: domains[i],
			time: int64(little.Uint64(times[8*i:])), tag: string(tags[ends[i]:ends[i+1]]),
		}
		h.store.change(h.descriptor, t, int(ops[i]), h.watermark, h.now)
	}
}

func (h *Harness) decodeMetrics(d decoder, at int) {
	for i := range d.u32(at) {
		e := at + abi.MetricsSize + i*abi.MetricEntrySize
		bind := h.descriptor.Metrics[d.u16(e)]
		bits := little.Uint64(d.bytes(e+8, 8))
		if bind.Kind == abi.MetricCounter {
			h.metrics[bind.Name] += float64(bits)
		} else {
			h.metrics[bind.Name] = math.Float64frombits(bits)
		}
	}
}
