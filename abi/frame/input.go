package frame

import (
	"encoding/binary"

	"github.com/tidemill/tidemill/abi"
)

// Input is a frame from the host to a guest. The host fills it, reserves Size bytes in the guest and calls Put; DecodeInput is
// the inverse. Slices are borrowed for the call.
type Input struct {
	Kind     abi.Kind
	Sequence uint64 // counts the frames of an instance's slot; the answer echoes it
	Context  Context
	Batch    *Rows     // BATCH frames
	Keys     *Keys     // BATCH frames of keyed ports and TIMERS frames
	States   []StateIn // prefetched states, in ascending order of State
	Timers   *TimersIn // TIMERS frames
}

// Context is what holds for every item of a frame.
type Context struct {
	Watermark      int64 // us; WatermarkNone, WatermarkEnd
	ProcessingTime int64 // us since 1970
	Seed           uint64
	Port           uint16 // NoPort outside of BATCH frames
}

// Rows is the section BATCH of an input frame: rows [From, From+Rows) of columns.
type Rows struct {
	From, Rows int
	Columns    []Column
	EventTime  []int64 // of the whole columns; nil where the operator does not read it or the stream has none
	Kinds      []byte  // of the whole columns; nil where the operator does not read them
}

// Keys is the section KEYS: which key an item has, and the key columns with one row a distinct key.
type Keys struct {
	N       int // distinct keys
	KeyOf   []uint32
	Columns []Column // none where the port said needs_key: false
}

// StateIn is the section STATE of an input frame: the cells of one state for each key of the frame.
type StateIn struct {
	State   uint16
	Kind    abi.StateKind
	Status  []byte   // for each key: StatusAbsent, StatusInline, StatusAsk
	Start   []uint32 // list and map: entries [Start[k], Start[k+1]) belong to key k
	Entries int      // rows of Columns: the keys for a value state, else the entries
	Columns []Column // map key columns first
}

// TimersIn is the section TIMERS of an input frame: the timers that fire, one a key at most.
type TimersIn struct {
	Key        []uint32
	Name       []uint16
	Domain     []byte
	Time       []int64 // us
	TagOffsets []int32 // one more than timers, the first 0
	Tags       []byte
}

// N is the number of timers.
func (t *TimersIn) N() int { return len(t.Key) }

func sectionsSize(n int) int { return align(abi.HeaderSize + n*abi.SectionEntrySize) }

func (in *Input) sections() int {
	n := 1 + len(in.States)
	if in.Batch != nil {
		n++
	}
	if in.Keys != nil {
		n++
	}
	if in.Timers != nil {
		n++
	}
	return n
}

// Size is the number of bytes of the frame.
func (in *Input) Size() int {
	n := sectionsSize(in.sections()) + abi.ContextSize
	if in.Batch != nil {
		n += in.Batch.size()
	}
	if in.Keys != nil {
		n += in.Keys.size()
	}
	for i := range in.States {
		n += in.States[i].size()
	}
	if in.Timers != nil {
		n += in.Timers.size()
	}
	return n
}

func (r *Rows) size() int {
	n := align(abi.BatchSize + abi.NodeSize*nodesOf(r.Columns))
	if r.EventTime != nil {
		n += align(8 * r.Rows)
	}
	if r.Kinds != nil {
		n += align(r.Rows)
	}
	for i := range r.Columns {
		n += r.Columns[i].bufferBytes(r.From, r.From+r.Rows)
	}
	return n
}

func (k *Keys) size() int {
	n := align(abi.KeysSize+abi.NodeSize*nodesOf(k.Columns)) + align(4*len(k.KeyOf))
	for i := range k.Columns {
		n += k.Columns[i].bufferBytes(0, k.N)
	}
	return n
}

func (s *StateIn) size() int {
	n := align(abi.StateSize+abi.NodeSize*nodesOf(s.Columns)) + align(len(s.Status)) + align(4*len(s.Start))
	for i := range s.Columns {
		n += s.Columns[i].bufferBytes(0, s.Entries)
	}
	return n
}

func (t *TimersIn) size() int {
	n := t.N()
	return abi.TimersSize + align(4*n) + align(2*n) + align(n) + align(8*n) + align(4*(n+1)) + align(len(t.Tags))
}

// inputWriter writes sections one after another.
type inputWriter struct {
	frame []byte
	entry int // where the next section table entry goes
	at    int // where the next section goes, 16-aligned
}

// Put writes the frame to frame, whose length is Size. Nothing is allocated, and every byte is written.
func (in *Input) Put(frame []byte) {
	n := in.sections()
	w := inputWriter{frame: frame, entry: abi.HeaderSize, at: sectionsSize(n)}
	putHeader(frame, in.Kind, in.Sequence, n)
	clear(frame[abi.HeaderSize+n*abi.SectionEntrySize : w.at])
	w.context(&in.Context)
	if in.Batch != nil {
		w.rows(in.Batch)
	}
	if in.Keys != nil {
		w.keys(in.Keys)
	}
	for i := range in.States {
		w.state(&in.States[i])
	}
	if in.Timers != nil {
		w.timers(in.Timers)
	}
}

func putHeader(frame []byte, kind abi.Kind, sequence uint64, sections int) {
	h := frame[:abi.HeaderSize:abi.HeaderSize]
	copy(h, abi.Magic)
	binary.LittleEndian.PutUint16(h[4:], abi.Version)
	binary.LittleEndian.PutUint16(h[6:], uint16(kind))
	binary.LittleEndian.PutUint32(h[8:], uint32(len(frame)))
	binary.LittleEndian.PutUint32(h[12:], uint32(sections))
	binary.LittleEndian.PutUint64(h[16:], sequence)
	clear(h[24:])
}

// end closes the section that began at w.at.
func (w *inputWriter) end(id abi.SectionID, index uint16, end int) {
	e := w.frame[w.entry : w.entry+abi.SectionEntrySize : w.entry+abi.SectionEntrySize]
	binary.LittleEndian.PutUint16(e, uint16(id))
	binary.LittleEndian.PutUint16(e[2:], index)
	binary.LittleEndian.PutUint32(e[4:], 0)
	binary.LittleEndian.PutUint32(e[8:], uint32(w.at))
	binary.LittleEndian.PutUint32(e[12:], uint32(end-w.at))
	w.entry += abi.SectionEntrySize
	w.at = end
}

// start returns the zeroed head of a section with room for its nodes, and where its arrays begin.
func (w *inputWriter) start(size, nodes int) (head []byte, body int) {
	body = w.at + align(size+abi.NodeSize*nodes)
	head = w.frame[w.at:body:body]
	clear(head[:size])
	clear(head[size+abi.NodeSize*nodes:])
	return head, body
}

// array writes an array at at, names it in the head, and returns its padded end.
func (w *inputWriter) array(head []byte, field, at int, data []byte) int {
	if len(data) == 0 {
		return at
	}
	binary.LittleEndian.PutUint32(head[field:], uint32(at))
	end := at + align(len(data))
	n := copy(w.frame[at:end], data)
	clear(w.frame[at+n : end])
	return end
}

func (w *inputWriter) context(c *Context) {
	head, end := w.start(abi.ContextSize, 0)
	binary.LittleEndian.PutUint64(head, uint64(c.Watermark))
	binary.LittleEndian.PutUint64(head[8:], uint64(c.ProcessingTime))
	binary.LittleEndian.PutUint64(head[16:], c.Seed)
	binary.LittleEndian.PutUint16(head[24:], c.Port)
	w.end(abi.SectionContext, 0, end)
}

func putCounts(head []byte, a, b, c, d int) {
	binary.LittleEndian.PutUint32(head, uint32(a))
	binary.LittleEndian.PutUint32(head[4:], uint32(b))
	binary.LittleEndian.PutUint32(head[8:], uint32(c))
	binary.LittleEndian.PutUint32(head[12:], uint32(d))
}

func (w *inputWriter) rows(r *Rows) {
	nodes := nodesOf(r.Columns)
	head, at := w.start(abi.BatchSize, nodes)
	to := r.From + r.Rows
	flags := 0
	if r.EventTime != nil {
		flags |= abi.BatchEventTime
		at = w.array(head, 20, at, int64Bytes(r.EventTime[r.From:to]))
	}
	if r.Kinds != nil {
		flags |= abi.BatchKinds
		at = w.array(head, 24, at, r.Kinds[r.From:to])
	}
	putCounts(head, r.Rows, len(r.Columns), nodes, flags)
	at = putColumns(w.frame, w.at+abi.BatchSize, at, r.Columns, r.From, to)
	w.end(abi.SectionBatch, 0, at)
}

func (w *inputWriter) keys(k *Keys) {
	nodes := nodesOf(k.Columns)
	head, at := w.start(abi.KeysSize, nodes)
	putCounts(head, len(k.KeyOf), k.N, len(k.Columns), nodes)
	at = w.array(head, 16, at, uint32Bytes(k.KeyOf))
	at = putColumns(w.frame, w.at+abi.KeysSize, at, k.Columns, 0, k.N)
	w.end(abi.SectionKeys, 0, at)
}

func (w *inputWriter) state(s *StateIn) {
	nodes := nodesOf(s.Columns)
	head, at := w.start(abi.StateSize, nodes)
	putCounts(head, len(s.Status), int(s.Kind), len(s.Columns), nodes)
	at = w.array(head, 16, at, s.Status)
	at = w.array(head, 20, at, uint32Bytes(s.Start))
	binary.LittleEndian.PutUint32(head[24:], uint32(s.Entries))
	at = putColumns(w.frame, w.at+abi.StateSize, at, s.Columns, 0, s.Entries)
	w.end(abi.SectionState, s.State, at)
}

func (w *inputWriter) timers(t *TimersIn) {
	head, at := w.start(abi.TimersSize, 0)
	binary.LittleEndian.PutUint32(head, uint32(t.N()))
	at = w.array(head, 8, at, uint32Bytes(t.Key))
	at = w.array(head, 12, at, uint16Bytes(t.Name))
	at = w.array(head, 16, at, t.Domain)
	at = w.array(head, 24, at, int64Bytes(t.Time))
	at = w.array(head, 28, at, int32Bytes(t.TagOffsets))
	binary.LittleEndian.PutUint32(head[36:], uint32(len(t.Tags)))
	at = w.array(head, 32, at, t.Tags)
	w.end(abi.SectionTimers, 0, at)
}
