package engine

import (
	"unsafe"

	"github.com/tidemill/tidemill/sdk-go/internal/abi"
	"github.com/tidemill/tidemill/sdk-go/internal/frame"
)

// TimerLog is what a frame sets and deletes, in order.
type TimerLog struct {
	entries []timerChange
	tags    []byte
}

type timerChange struct {
	time       int64
	key        uint32
	tagEnd     uint32
	name       uint16
	domain, op byte
}

// timerBytes is what one change takes in an answer, without its tag.
const timerBytes = 4 + 2 + 1 + 1 + 8 + 4

func (l *TimerLog) reset() {
	l.entries = l.entries[:0]
	l.tags = l.tags[:0]
}

// ChangeTimer adds a change of a timer of the item's key to the answer.
func (s *Slot) ChangeTimer(name int, domain, op byte, time int64, tag string) {
	if s.Cursor.Key == NoKey {
		panic("a timer is set or deleted where no item with a key is under way")
	}
	if len(tag) > abi.TagBytesMax {
		panic("a timer's tag is longer than 256 bytes")
	}
	l := &s.Timers
	l.tags = append(l.tags, tag...)
	l.entries = append(l.entries, timerChange{time, s.Cursor.Key, uint32(len(l.tags)), uint16(name), domain, op})
	s.Cursor.Bytes += timerBytes + len(tag)
}

func (l *TimerLog) flush(b *frame.Builder) {
	n := len(l.entries)
	if n == 0 {
		return
	}
	head := b.Open(abi.SectionTimers, 0, abi.TimersSize, 0)
	b.PutU32(head, uint32(n))
	for i, key := 0, frame.Array[uint32](b, head+8, n); i < n; i++ {
		key[i] = l.entries[i].key
	}
	for i, name := 0, frame.Array[uint16](b, head+12, n); i < n; i++ {
		name[i] = l.entries[i].name
	}
	for i, domain := 0, frame.Array[byte](b, head+16, n); i < n; i++ {
		domain[i] = l.entries[i].domain
	}
	for i, op := 0, frame.Array[byte](b, head+20, n); i < n; i++ {
		op[i] = l.entries[i].op
	}
	for i, time := 0, frame.Array[int64](b, head+24, n); i < n; i++ {
		time[i] = l.entries[i].time
	}
	ends := frame.Array[uint32](b, head+28, n+1)
	ends[0] = 0
	for i := range l.entries {
		ends[i+1] = l.entries[i].tagEnd
	}
	copy(frame.Array[byte](b, head+32, len(l.tags)), l.tags)
	b.PutU32(head+36, uint32(len(l.tags)))
	b.Close()
}

func (s *Slot) runTimers(limit int) (done int, err error) {
	section := s.Frame.Timers()
	n := int(section.U32(0))
	key := frame.Slice[uint32](section, 8, n)
	name := frame.Slice[uint16](section, 12, n)
	time := frame.Slice[int64](section, 24, n)
	tagEnd := frame.Slice[uint32](section, 28, n+1)
	tags := frame.Slice[byte](section, 32, int(section.U32(36)))
	for i := range limit {
		s.Cursor.Item = uint32(i)
		s.Cursor.Key = key[i]
		tag := tags[tagEnd[i]:tagEnd[i+1]]
		if err := s.timers[name[i]].Fire(time[i], unsafe.String(unsafe.SliceData(tag), len(tag))); err != nil {
			return i, err
		}
		if s.Cursor.Bytes >= s.Cursor.BytesStop {
			return i + 1, nil
		}
	}
	return limit, nil
}
