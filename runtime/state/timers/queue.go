package timers

import (
	"bytes"
	"encoding/binary"

	"github.com/tidemill/tidemill/runtime/record"
	"github.com/tidemill/tidemill/runtime/state/cells"
)

// A timer's cell: header (the key length is that of the tag, the row length is the kind: name id and domain), time, setting,
// head, and the links of the pairing heap; then the tag. Header, time, head and tag do not change once the cell is frozen.
const (
	atTime    = 8
	atSetting = 16
	atHead    = 24
	atChild   = 28
	atSibling = 32
	atPrev    = 36 // the parent of a first child, else the sibling before
	atTag     = 40
)

// A key's cell: header (key length), the roots of its heaps by domain, the times at which the heaps over keys have it, counts
// and flags, the hash; then the key. Header, hash and key never change.
const (
	atRoot  = 8
	atDue   = 16
	atCount = 32 // timers, those of names not declared among them
	atRefs  = 36 // entries in the heaps over keys and in out, times 16, plus flags
	atHash  = 40
	atKey   = 48
)

// Flags in the word at atRefs, to be shifted by domain.
const (
	queued   = 1 // the heap over keys has an entry with the time at atDue
	taken    = 4 // Due took the key out of the heap over keys
	oneEntry = 16
)

// Queue is the timers of one subtask.
type Queue struct {
	nodes cells.Ledger
	heads cells.Ledger
	ids   cells.Index // identity -> timer
	keys  cells.Index // key -> head
	names []name
	byPos []uint32 // declared position -> name id
	due   [2]keyHeap
	out   [2][]cells.Ref // heads that Due took
	empty int            // heads without timers that a heap entry still refers to

	settings uint64
	live     int64
	bytes    int64
	declared bool
	sub      []byte
	hashes   []uint64
	touched  uint32 // keeps the reads of touch from being optimised away
	stack    []cells.Ref
	match    []cells.Ref
}

type name struct {
	name     string
	rank     int // declared position, -1 where it is not declared
	many     bool
	dropPast bool
}

// Len is the number of timers.
func (q *Queue) Len() int64 { return q.live }

// StateBytes is the size of the timers as a checkpoint counts them: key, time and tag.
func (q *Queue) StateBytes() int64 { return q.bytes }

// HeldBytes is the memory held.
func (q *Queue) HeldBytes() int64 {
	return q.nodes.LedgerBytes() + q.heads.LedgerBytes() + q.ids.Bytes() + q.keys.Bytes() +
		int64(cap(q.due[0])+cap(q.due[1]))*16
}

func u32(b []byte, at int) uint32      { return binary.LittleEndian.Uint32(b[at:]) }
func put32(b []byte, at int, v uint32) { binary.LittleEndian.PutUint32(b[at:], v) }
func i64(b []byte, at int) int64       { return int64(binary.LittleEndian.Uint64(b[at:])) }
func put64(b []byte, at int, v int64)  { binary.LittleEndian.PutUint64(b[at:], uint64(v)) }
func nodeUnits(cell []byte) uint32     { return cells.Units(atTag + cells.HeaderOf(cell).KeyLen()) }
func headUnits(cell []byte) uint32     { return cells.Units(atKey + cells.HeaderOf(cell).KeyLen()) }
func nodeTag(cell []byte) []byte       { return cell[atTag : atTag+cells.HeaderOf(cell).KeyLen()] }
func headKey(cell []byte) []byte       { return cell[atKey : atKey+cells.HeaderOf(cell).KeyLen()] }
func nodeKind(cell []byte) uint32      { return uint32(cells.HeaderOf(cell).RowLen()) }
func kindOf(id uint32, d uint8) uint32 { return id<<1 | uint32(d) }
func rootAt(domain uint8) int          { return atRoot + 4*int(domain) }
func dueAt(domain uint8) int           { return atDue + 8*int(domain) }

// identity hashes what makes a timer one and the same.
func identity(keyHash uint64, kind uint32, tag []byte, time int64, many bool) uint64 {
	h := keyHash ^ (uint64(kind)+1)*0x9e3779b97f4a7c15
	if len(tag) > 0 {
		h ^= record.HashKey(tag) * 0xff51afd7ed558ccd
	}
	if many {
		h ^= (uint64(time) ^ uint64(time)>>29) * 0xc4ceb9fe1a85ec53
	}
	h ^= h >> 31
	return h * 0xd6e8feb86659fd93
}

// find returns the timer of an identity, 0 where there is none.
func (q *Queue) find(id uint64, key []byte, kind uint32, tag []byte, time int64, many bool) (cells.Ref, cells.Cursor) {
	ref, at := q.ids.Find(id)
	for ; ref != 0; ref = q.ids.Next(&at) {
		n := q.nodes.At(ref)
		if nodeKind(n) == kind && (!many || i64(n, atTime) == time) && bytes.Equal(nodeTag(n), tag) &&
			bytes.Equal(headKey(q.heads.At(u32(n, atHead))), key) {
			return ref, at
		}
	}
	return 0, at
}

// head returns the head of a key, 0 where it has none.
func (q *Queue) head(hash uint64, key []byte) cells.Ref {
	ref, at := q.keys.Find(hash)
	for ; ref != 0; ref = q.keys.Next(&at) {
		if bytes.Equal(headKey(q.heads.At(ref)), key) {
			return ref
		}
	}
	return 0
}

func (q *Queue) makeHead(hash uint64, key []byte) (cells.Ref, error) {
	if ref := q.head(hash, key); ref != 0 {
		return ref, nil
	}
	ref, err := q.heads.Alloc(cells.Units(atKey + len(key)))
	if err != nil {
		return 0, err
	}
	h := q.heads.At(ref)
	cells.MakeHeader(len(key), 0, 0).Put(h)
	clear(h[8:atHash])
	put64(h, atHash, int64(hash))
	copy(h[atKey:], key)
	q.empty++ // until it has a timer
	return ref, q.keys.Insert(hash, ref)
}

// add makes a timer that is not there yet. Where link is false it only belongs to its key (Restore, names not declared).
func (q *Queue) add(id, hash uint64, key []byte, kind uint32, tag []byte, time int64, gen uint32, link bool) error {
	head, err := q.makeHead(hash, key)
	if err != nil {
		return err
	}
	ref, err := q.nodes.Alloc(cells.Units(atTag + len(tag)))
	if err != nil {
		return err
	}
	n := q.nodes.At(ref)
	cells.MakeHeader(len(tag), int(kind), gen).Put(n)
	put64(n, atTime, time)
	q.settings++
	put64(n, atSetting, int64(q.settings))
	put32(n, atHead, head)
	put32(n, atChild, 0)
	put32(n, atSibling, 0)
	put32(n, atPrev, 0)
	copy(n[atTag:], tag)
	if gen > 0 {
		q.nodes.Dirty(ref, nodeUnits(n))
	}
	h := q.heads.At(head)
	if u32(h, atCount) == 0 {
		q.empty--
	}
	put32(h, atCount, u32(h, atCount)+1)
	q.live++
	q.bytes += int64(len(key) + 8 + len(tag))
	if err := q.ids.Insert(id, ref); err != nil {
		return err
	}
	if link {
		q.link(head, uint8(kind&1), ref)
	}
	return nil
}

// link puts a timer into the heap of its key and sees to it that the heap over keys has the key early enough.
func (q *Queue) link(head cells.Ref, domain uint8, ref cells.Ref) {
	h := q.heads.At(head)
	put32(h, rootAt(domain), q.meld(u32(h, rootAt(domain)), ref))
	q.raise(head, domain, i64(q.nodes.At(ref), atTime))
}

// raise makes the heap over keys have a key at time or before.
func (q *Queue) raise(head cells.Ref, domain uint8, time int64) {
	h := q.heads.At(head)
	flags := u32(h, atRefs)
	if flags&(taken<<domain) != 0 || flags&(queued<<domain) != 0 && i64(h, dueAt(domain)) <= time {
		return
	}
	put32(h, atRefs, (flags|queued<<domain)+oneEntry)
	put64(h, dueAt(domain), time)
	q.due[domain].push(keyEntry{time, head})
}

// remove deletes a timer that is linked.
func (q *Queue) remove(ref cells.Ref, at cells.Cursor) {
	n := q.nodes.At(ref)
	head := u32(n, atHead)
	h := q.heads.At(head)
	q.unlink(h, ref)
	q.ids.Delete(at)
	q.drop(ref, head)
}

// drop gives back the cell of a timer that nothing leads to any more, and notes its deletion for the next checkpoint where
// an earlier one may have it.
func (q *Queue) drop(ref, head cells.Ref) {
	n, h := q.nodes.At(ref), q.heads.At(head)
	hdr, key, tag := cells.HeaderOf(n), headKey(h), nodeTag(n)
	if hdr.Gen() < q.nodes.Gen() {
		q.nodes.Deleted(key, q.subOf(nodeKind(n), i64(n, atTime), tag))
	}
	q.forget(ref, head)
}

// forget gives back the cell of a timer that nothing leads to any more.
func (q *Queue) forget(ref, head cells.Ref) {
	n, h := q.nodes.At(ref), q.heads.At(head)
	q.live--
	q.bytes -= int64(len(headKey(h)) + 8 + len(nodeTag(n)))
	q.nodes.Drop(ref, cells.HeaderOf(n), nodeUnits(n))
	count := u32(h, atCount) - 1
	put32(h, atCount, count)
	if count == 0 {
		q.empty++
		q.discard(head)
	}
}

// discard gives back a head that has no timers, once no entry refers to it.
func (q *Queue) discard(head cells.Ref) {
	h := q.heads.At(head)
	if u32(h, atCount) != 0 || u32(h, atRefs) >= oneEntry {
		return
	}
	ref, at := q.keys.Find(uint64(i64(h, atHash)))
	for ref != head {
		ref = q.keys.Next(&at)
	}
	q.keys.Delete(at)
	q.heads.Retire(head, headUnits(h))
	q.empty--
}

// subOf is the sub of a timer at rest, led by its kind as the Log of deletions needs it.
func (q *Queue) subOf(kind uint32, time int64, tag []byte) []byte {
	q.sub = binary.LittleEndian.AppendUint32(q.sub[:0], kind)
	q.sub = binary.BigEndian.AppendUint64(q.sub, uint64(time)^1<<63)
	q.sub = append(q.sub, tag...)
	return q.sub
}
