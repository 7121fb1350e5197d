package timers

import (
	"fmt"

	"github.com/tidemill/tidemill/runtime/record"
	"github.com/tidemill/tidemill/runtime/state"
	"github.com/tidemill/tidemill/runtime/state/cells"
)

// Apply makes changes, in order; see state.Backend.ApplyTimers. A setting that is dropped because its time has been reached
// leaves the timer that it would have replaced as it is.
func (q *Queue) Apply(keys *record.KeySet, c *state.TimerChanges, reached [2]int64) error {
	q.nodes.Drain()
	q.heads.Drain()
	for from := 0; from < len(c.Key); from += cells.Block {
		to := min(from+cells.Block, len(c.Key))
		q.touch(keys, c, from, to)
		for i := from; i < to; i++ {
			if err := q.change(keys, c, i, reached, q.hashes[i-from]); err != nil {
				return err
			}
		}
	}
	q.tidy()
	return nil
}

// touch computes the identities of changes and reads the memory that they lead to.
func (q *Queue) touch(keys *record.KeySet, c *state.TimerChanges, from, to int) {
	q.hashes = q.hashes[:0]
	for i := from; i < to; i++ {
		id := q.byPos[c.Name[i]]
		q.hashes = append(q.hashes, identity(keys.Hash[c.Key[i]], kindOf(id, c.Domain[i]), tagOf(c, i), c.Time[i], q.names[id].many))
	}
	if to-from < 8 {
		return
	}
	var found [cells.Block]cells.Ref
	q.ids.FindAll(q.hashes, &found)
	var sum uint32
	for _, ref := range found[:to-from] {
		if ref != 0 {
			sum += u32(q.nodes.At(ref), atHead)
		}
	}
	q.touched = sum
}

func tagOf(c *state.TimerChanges, i int) []byte { return c.Tags[c.TagOff[i]:c.TagOff[i+1]] }

func (q *Queue) change(keys *record.KeySet, c *state.TimerChanges, i int, reached [2]int64, id uint64) error {
	k, domain, tag := int(c.Key[i]), c.Domain[i], tagOf(c, i)
	nameID := q.byPos[c.Name[i]]
	n := &q.names[nameID]
	kind := kindOf(nameID, domain)
	switch c.Op[i] {
	case state.TimerSet:
		if n.dropPast && c.Time[i] <= reached[domain] {
			return nil
		}
		return q.set(id, keys.Hash[k], keys.Key(k), kind, tag, c.Time[i], n.many)
	case state.TimerDelete:
		if ref, at := q.find(id, keys.Key(k), kind, tag, c.Time[i], n.many); ref != 0 {
			q.remove(ref, at)
		}
	case state.TimerDeleteTag:
		q.removeAll(keys.Hash[k], keys.Key(k), int(kind), tag)
	case state.TimerDeleteKey:
		q.removeAll(keys.Hash[k], keys.Key(k), -1, nil)
	default:
		return fmt.Errorf("timer operation %d", c.Op[i])
	}
	return nil
}

func (q *Queue) set(id, hash uint64, key []byte, kind uint32, tag []byte, time int64, many bool) error {
	ref, at := q.find(id, key, kind, tag, time, many)
	if ref != 0 {
		n := q.nodes.At(ref)
		if i64(n, atTime) == time {
			q.settings++
			put64(n, atSetting, int64(q.settings))
			return nil
		}
		if cells.HeaderOf(n).Gen() == q.nodes.Gen() { // no checkpoint has it: move it
			head := u32(n, atHead)
			q.unlink(q.heads.At(head), ref)
			q.settings++
			put64(n, atSetting, int64(q.settings))
			put64(n, atTime, time)
			q.link(head, uint8(kind&1), ref)
			return nil
		}
		q.remove(ref, at)
	}
	return q.add(id, hash, key, kind, tag, time, q.nodes.Gen(), true)
}

// removeAll deletes the timers of a key of one kind and tag, or with kind < 0 all of declared names. It goes through all
// timers of the key.
func (q *Queue) removeAll(hash uint64, key []byte, kind int, tag []byte) {
	head := q.head(hash, key)
	if head == 0 {
		return
	}
	h := q.heads.At(head)
	q.match = q.match[:0]
	for domain := uint8(0); domain < 2; domain++ {
		if kind < 0 || kind&1 == int(domain) {
			q.match = q.matching(q.match, u32(h, rootAt(domain)), kind, tag)
		}
	}
	for _, ref := range q.match {
		q.remove(ref, q.cursor(ref, hash))
	}
}

// cursor finds a timer's place in the index by identity.
func (q *Queue) cursor(ref cells.Ref, keyHash uint64) cells.Cursor {
	n := q.nodes.At(ref)
	kind := nodeKind(n)
	at, c := q.ids.Find(identity(keyHash, kind, nodeTag(n), i64(n, atTime), !q.declared || q.names[kind>>1].many))
	for at != ref {
		at = q.ids.Next(&c)
	}
	return c
}

// Due fills dst with the next round; see state.Backend.Due.
func (q *Queue) Due(d state.Domain, upTo int64, most int, dst *state.Round) int {
	domain := uint8(d)
	q.putBack(domain)
	*dst = state.Round{Keys: dst.Keys, Name: dst.Name[:0], Time: dst.Time[:0], TagOff: append(dst.TagOff[:0], 0),
		Tags: dst.Tags[:0], Setting: dst.Setting[:0]}
	dst.Keys.Reset(int(min(int64(most), q.live)))
	for dst.Len() < most {
		head, ok := q.first(domain)
		if !ok || i64(q.heads.At(head), dueAt(domain)) > upTo {
			break
		}
		q.due[domain].pop()
		h := q.heads.At(head)
		put32(h, atRefs, u32(h, atRefs)&^(queued<<domain)|taken<<domain) // the entry's count is now out's
		q.out[domain] = append(q.out[domain], head)
		n := q.nodes.At(u32(h, rootAt(domain)))
		dst.Keys.Add(headKey(h), int32(dst.Len()))
		dst.Name = append(dst.Name, uint16(q.names[nodeKind(n)>>1].rank))
		dst.Time = append(dst.Time, i64(n, atTime))
		dst.Tags = append(dst.Tags, nodeTag(n)...)
		dst.TagOff = append(dst.TagOff, int32(len(dst.Tags)))
		dst.Setting = append(dst.Setting, uint64(i64(n, atSetting)))
	}
	return dst.Len()
}

// putBack returns the keys that the last Due took to the heap over keys.
func (q *Queue) putBack(domain uint8) {
	for _, head := range q.out[domain] {
		h := q.heads.At(head)
		put32(h, atRefs, u32(h, atRefs)&^(taken<<domain)-oneEntry)
		if root := u32(h, rootAt(domain)); root != 0 {
			q.raise(head, domain, i64(q.nodes.At(root), atTime))
		} else {
			q.discard(head)
		}
	}
	q.out[domain] = q.out[domain][:0]
}

// first puts right the top of the heap over keys and returns its key, which then has its earliest timer at the entry's time.
func (q *Queue) first(domain uint8) (cells.Ref, bool) {
	heap := &q.due[domain]
	for len(*heap) > 0 {
		e := (*heap)[0]
		h := q.heads.At(e.head)
		flags := u32(h, atRefs)
		if flags&(queued<<domain) != 0 && i64(h, dueAt(domain)) == e.time {
			root := u32(h, rootAt(domain))
			if root != 0 && i64(q.nodes.At(root), atTime) == e.time {
				return e.head, true
			}
			heap.pop()
			put32(h, atRefs, flags&^(queued<<domain)-oneEntry)
			if root != 0 {
				q.raise(e.head, domain, i64(q.nodes.At(root), atTime))
				continue
			}
		} else { // a later entry of a key that was raised since
			heap.pop()
			put32(h, atRefs, flags-oneEntry)
		}
		q.discard(e.head)
	}
	return 0, false
}

// Next is the time of the earliest timer.
func (q *Queue) Next(d state.Domain) (int64, bool) {
	q.putBack(uint8(d))
	head, ok := q.first(uint8(d))
	if !ok {
		return 0, false
	}
	return i64(q.heads.At(head), dueAt(uint8(d))), true
}

// Fired removes entries [from, to) of a round; see state.Backend.Fired.
func (q *Queue) Fired(d state.Domain, r *state.Round, from, to int) {
	for i := from; i < to; i++ {
		id := q.byPos[r.Name[i]]
		n := &q.names[id]
		kind, tag := kindOf(id, uint8(d)), r.Tags[r.TagOff[i]:r.TagOff[i+1]]
		ref, at := q.find(identity(r.Keys.Hash[i], kind, tag, r.Time[i], n.many), r.Keys.Key(i), kind, tag, r.Time[i], n.many)
		if ref != 0 && uint64(i64(q.nodes.At(ref), atSetting)) == r.Setting[i] {
			q.remove(ref, at)
		}
	}
}

// tidy rebuilds the heaps over keys where most of what they hold is out of date.
func (q *Queue) tidy() {
	keys := q.keys.Len() - q.empty
	if len(q.due[0])+len(q.due[1]) <= 4*keys+256 && q.empty <= keys+256 {
		return
	}
	var empty []cells.Ref
	for d := range q.due {
		for _, e := range q.due[d] {
			h := q.heads.At(e.head)
			put32(h, atRefs, u32(h, atRefs)&^(queued<<d)-oneEntry)
		}
		q.due[d] = q.due[d][:0]
	}
	q.keys.All(func(head cells.Ref) {
		h := q.heads.At(head)
		if u32(h, atCount) == 0 && u32(h, atRefs) < oneEntry {
			empty = append(empty, head)
			return
		}
		for d := range q.due {
			root := u32(h, rootAt(uint8(d)))
			if root == 0 || u32(h, atRefs)&(taken<<d) != 0 {
				continue
			}
			time := i64(q.nodes.At(root), atTime)
			put32(h, atRefs, (u32(h, atRefs)|queued<<d)+oneEntry)
			put64(h, dueAt(uint8(d)), time)
			q.due[d] = append(q.due[d], keyEntry{time, head})
		}
	})
	for d := range q.due {
		q.due[d].order()
	}
	for _, head := range empty {
		q.discard(head)
	}
}
