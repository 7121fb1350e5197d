package timers

import (
	"encoding/binary"

	"github.com/tidemill/tidemill/runtime/state"
	"github.com/tidemill/tidemill/runtime/state/cells"
)

// subLen is the least length of a timer's sub: its time.
const subLen = 8

// Restore adds or deletes a timer as a checkpoint has it. It is called before Declare only.
func (q *Queue) Restore(e *state.Entry, hash uint64) error {
	if len(e.Sub) < subLen {
		return state.CodeDamaged.Errorf("a timer %q has a sub of %d bytes", e.Space.Name, len(e.Sub)).Do("restore from an older checkpoint")
	}
	domain := uint8(state.EventTime)
	if e.Space.Kind == state.SpaceTimersProcessing {
		domain = uint8(state.ProcessingTime)
	}
	kind := kindOf(q.nameID(e.Space.Name), domain)
	time, tag := int64(binary.BigEndian.Uint64(e.Sub)^1<<63), e.Sub[subLen:]
	id := identity(hash, kind, tag, time, true)
	ref, at := q.find(id, e.Key, kind, tag, time, true)
	switch {
	case e.Deleted && ref != 0:
		head := u32(q.nodes.At(ref), atHead)
		q.ids.Delete(at)
		q.forget(ref, head)
	case !e.Deleted && ref == 0:
		return q.add(id, hash, e.Key, kind, tag, time, 0, false)
	}
	return nil
}

func (q *Queue) nameID(s string) uint32 {
	for i := range q.names {
		if q.names[i].name == s {
			return uint32(i)
		}
	}
	q.names = append(q.names, name{name: s, rank: -1, many: true})
	return uint32(len(q.names) - 1)
}

// Declare fixes the timer names, after Restore. Timers restored under a name that is not declared are kept and never fire. Of
// several restored under a name that is declared to have one, the latest stays.
func (q *Queue) Declare(decls []state.TimerDecl) error {
	q.byPos = make([]uint32, len(decls))
	for i, d := range decls {
		id := q.nameID(d.Name)
		q.byPos[i] = id
		q.names[id] = name{name: d.Name, rank: i, many: d.Many, dropPast: d.DropPast}
	}
	q.declared = true
	q.ids.Clear()
	var refs []cells.Ref
	q.nodes.Walk(nodeUnits, func(ref cells.Ref, _ []byte) { refs = append(refs, ref) })
	for _, ref := range refs {
		n := q.nodes.At(ref)
		kind, tag, time, head := nodeKind(n), nodeTag(n), i64(n, atTime), u32(n, atHead)
		h := q.heads.At(head)
		many := q.names[kind>>1].many
		id := identity(uint64(i64(h, atHash)), kind, tag, time, many)
		if q.names[kind>>1].rank >= 0 {
			if other, at := q.find(id, headKey(h), kind, tag, time, many); other != 0 {
				if i64(q.nodes.At(other), atTime) > time {
					q.drop(ref, head)
					continue
				}
				q.remove(other, at)
			}
			q.link(head, uint8(kind&1), ref)
		}
		if err := q.ids.Insert(id, ref); err != nil {
			return err
		}
	}
	return nil
}

// Undeclared counts the timers under names that are not declared, after Declare.
func (q *Queue) Undeclared() map[string]int64 {
	left := map[string]int64{}
	q.nodes.Walk(nodeUnits, func(ref cells.Ref, _ []byte) {
		if n := &q.names[nodeKind(q.nodes.At(ref))>>1]; n.rank < 0 {
			left[n.name]++
		}
	})
	return left
}

// Frozen is the timers changed since the last checkpoint.
type Frozen struct {
	nodes *cells.Frozen
	heads *cells.Frozen
	names []name
}

// Freeze fixes what changed since the last Freeze, or all timers where base is set.
func (q *Queue) Freeze(base bool) (*Frozen, error) {
	heads, err := q.heads.Freeze(false)
	if err != nil {
		return nil, err
	}
	nodes, err := q.nodes.Freeze(base)
	if err != nil {
		return nil, err
	}
	return &Frozen{nodes: nodes, heads: heads, names: append([]name(nil), q.names...)}, nil
}

// Release ends the reading of what Freeze returned.
func (q *Queue) Release() {
	q.nodes.Release()
	q.heads.Release()
	if q.nodes.Old() {
		q.nodes.Renumber(nodeUnits)
	}
	if q.heads.Old() {
		q.heads.Renumber(headUnits)
	}
}

// Write hands over the frozen timers: for each name and domain the deletions, then the timers.
func (f *Frozen) Write(to state.Writer) error {
	kinds := 2 * len(f.names)
	deleted := make([]int, kinds)
	if err := f.nodes.Deleted.Each(func(_, sub []byte) error {
		deleted[binary.LittleEndian.Uint32(sub)]++
		return nil
	}); err != nil {
		return err
	}
	refs := make([][]cells.Ref, kinds)
	if err := f.nodes.Each(nodeUnits, func(ref cells.Ref, cell []byte) error {
		refs[nodeKind(cell)] = append(refs[nodeKind(cell)], ref)
		return nil
	}); err != nil {
		return err
	}
	for kind := range refs {
		if deleted[kind] == 0 && len(refs[kind]) == 0 {
			continue
		}
		space := state.Space{Kind: state.SpaceTimersEvent, Name: f.names[kind>>1].name}
		if kind&1 == int(state.ProcessingTime) {
			space.Kind = state.SpaceTimersProcessing
		}
		if err := to.Begin(space); err != nil {
			return err
		}
		if deleted[kind] > 0 {
			if err := f.writeDeleted(to, uint32(kind)); err != nil {
				return err
			}
		}
		if err := f.writeTimers(to, refs[kind]); err != nil {
			return err
		}
	}
	return nil
}

func (f *Frozen) writeDeleted(to state.Writer, kind uint32) error {
	return f.nodes.Deleted.Each(func(key, sub []byte) error {
		if binary.LittleEndian.Uint32(sub) != kind {
			return nil
		}
		return to.Delete(key, sub[4:])
	})
}

func (f *Frozen) writeTimers(to state.Writer, refs []cells.Ref) error {
	var sub []byte
	for _, ref := range refs {
		n := f.nodes.At(ref)
		sub = binary.BigEndian.AppendUint64(sub[:0], uint64(i64(n, atTime))^1<<63)
		sub = append(sub, nodeTag(n)...)
		if err := to.Put(headKey(f.heads.At(u32(n, atHead))), sub, nil); err != nil {
			return err
		}
	}
	return nil
}
