package frame_test

import (
	"bytes"
	"encoding/binary"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/tidemill/tidemill/abi"
	"github.com/tidemill/tidemill/abi/frame"
	"github.com/tidemill/tidemill/abi/frame/frametest"
)

// What a decoder accepts must be sound: the fuzz targets read every value of it, in Go's own bounds.

func soundColumn(t *testing.T, c *frame.Column) {
	t.Helper()
	if c.Pass != 0 {
		return
	}
	nulls := 0
	for _, v := range frametest.Values(c) {
		if v == nil {
			nulls++
			continue
		}
		s, _ := v.(string)
		if c.Type == abi.UTF8 && !utf8.ValidString(s) {
			t.Fatalf("invalid UTF-8 %q", s)
		}
		if digits := c.Type.Digits(); c.Type.Kind() == abi.Decimal128 && (len(strings.TrimPrefix(s, "-")) > 38 || digits > 0 && len(strings.TrimPrefix(s, "-")) > digits) {
			t.Fatalf("%s as %v", s, c.Type)
		}
	}
	if e := c.Elements; (e != nil) != (c.Type.Kind() == abi.List) || e != nil && c.Len > 0 && int(c.Offsets[c.Len]) != e.Len {
		t.Fatalf("elements %+v of %v", e, c.Type)
	} else if e != nil {
		if soundColumn(t, e); e.Nulls > 0 || e.Pass != 0 || e.Type != c.Type.Element() {
			t.Fatalf("elements %+v of %v", e, c.Type)
		}
	}
	if nulls != c.Nulls {
		t.Fatalf("%d nulls, said to be %d", nulls, c.Nulls)
	}
}

func soundColumns(t *testing.T, columns []frame.Column, rows int) {
	t.Helper()
	for i := range columns {
		if columns[i].Len != rows {
			t.Fatalf("column of %d rows among %d", columns[i].Len, rows)
		}
		soundColumn(t, &columns[i])
	}
}

// FuzzDecodeInput: what is accepted is sound, and writing it again gives a frame that means the same.
func FuzzDecodeInput(f *testing.F) {
	for name := range goldenInputs() {
		f.Add(readHex(f, name))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		in, err := frame.DecodeInput(data)
		if err != nil {
			return
		}
		keys := 0
		if in.Keys != nil {
			keys = in.Keys.N
			soundColumns(t, in.Keys.Columns, keys)
			seen := 0
			for _, k := range in.Keys.KeyOf {
				if int(k) == seen {
					seen++
				}
				if int(k) >= seen {
					t.Fatalf("key %d after %d keys", k, seen)
				}
			}
			if seen != keys {
				t.Fatalf("%d keys, said to be %d", seen, keys)
			}
		}
		if in.Batch != nil {
			soundColumns(t, in.Batch.Columns, in.Batch.Rows)
		}
		for i := range in.States {
			s := &in.States[i]
			soundColumns(t, s.Columns, s.Entries)
			if len(s.Status) != keys || (s.Kind != abi.StateValue && int(s.Start[keys]) != s.Entries) {
				t.Fatalf("state %+v", s)
			}
		}
		if in.Timers != nil {
			soundTags(t, in.Timers.TagOffsets, in.Timers.Tags)
		}
		again := make([]byte, in.Size())
		in.Put(again)
		back, err := frame.DecodeInput(again)
		if err != nil {
			t.Fatalf("written again it is refused: %v", err)
		}
		if in.Kind != back.Kind || in.Sequence != back.Sequence || in.Context != back.Context || len(in.States) != len(back.States) {
			t.Fatalf("got %+v, want %+v", back, in)
		}
		if in.Batch != nil {
			for i := range in.Batch.Columns {
				if !same(frametest.Values(&in.Batch.Columns[i]), frametest.Values(&back.Batch.Columns[i])) {
					t.Fatalf("column %d differs", i)
				}
			}
		}
	})
}

func soundTags(t *testing.T, offsets []int32, tags []byte) {
	for i := 1; i < len(offsets); i++ {
		if tag := tags[offsets[i-1]:offsets[i]]; len(tag) > abi.TagBytesMax {
			t.Fatalf("a tag of %d bytes", len(tag))
		}
	}
}

// FuzzDecodeAnswer gives the decoder a guest's whole memory and the address and length of an answer in it.
func FuzzDecodeAnswer(f *testing.F) {
	for name := range goldenAnswers() {
		data := readHex(f, name)
		f.Add(place(data, 32), uint32(32), uint32(len(data)))
	}
	for _, c := range frametest.InvalidAnswers() { // each is a step away from a hole in the validation
		data := c.Data(frametest.Sequence)
		f.Add(place(data, 32), uint32(32), uint32(len(data)))
	}
	f.Add(make([]byte, 100), uint32(0xfffffff0), uint32(0xfffffff0))
	f.Fuzz(func(t *testing.T, memory []byte, at, n uint32) {
		asked := goldenAsked()
		a, err := goldenDecoder().Decode(memory, at, n, asked)
		if err == nil {
			soundAnswer(t, a, asked)
		}
	})
}

func soundAnswer(t *testing.T, a *frame.Answer, asked *frame.Asked) {
	binding := frametest.Binding()
	if a.Consumed < 1 || a.Consumed > asked.Items || a.Materialised > abi.FrameBytesMax {
		t.Fatalf("consumed %d, materialised %d", a.Consumed, a.Materialised)
	}
	for i := range a.Batches {
		o := &a.Batches[i]
		soundColumns(t, o.Columns, o.Rows)
		for row := range o.Rows {
			item := uint32(row)
			if !o.Identity {
				item = o.ItemOf[row]
			}
			if item != abi.ItemNone && int(item) >= a.Consumed {
				t.Fatalf("row of item %d, consumed %d", item, a.Consumed)
			}
			if o.EventTime != nil {
				_ = o.EventTime[row]
			}
		}
		for c := range o.Columns {
			from := asked.Columns
			if o.Columns[c].Pass == abi.NodeKey {
				from = asked.Key
			}
			if o.Columns[c].Pass != 0 && from[o.Columns[c].Ref].Type != binding.Outputs[o.Port].Fields[c].Type {
				t.Fatal("passed through as another type")
			}
		}
	}
	for i := range a.States {
		s := &a.States[i]
		soundColumns(t, s.Columns, len(s.Key))
		for k := range s.Key {
			if int(s.Key[k]) >= asked.Keys || s.Op[k] < abi.OpSet || s.Op[k] > abi.OpClearAll {
				t.Fatalf("change %d: key %d, operation %d", k, s.Key[k], s.Op[k])
			}
		}
	}
	if timers := a.Timers; timers != nil {
		soundTags(t, timers.TagOffsets, timers.Tags)
		for i := range timers.Key {
			if int(timers.Key[i]) >= asked.Keys || (timers.Op[i] != abi.TimerDeleteKey && int(timers.Name[i]) >= len(binding.Timers)) {
				t.Fatalf("timer change %d", i)
			}
			_, _ = timers.Time[i], timers.Domain[i]
		}
	}
	for _, m := range a.Metrics {
		_ = binding.Metrics[m.Metric]
	}
}

// FuzzDecodeChanges is what state_apply is given.
func FuzzDecodeChanges(f *testing.F) {
	for name := range goldenAnswers() {
		f.Add(readHex(f, name))
	}
	for _, c := range frametest.InvalidAnswers() {
		f.Add(c.Data(frametest.Sequence))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		asked := goldenAsked()
		changes, err := goldenDecoder().DecodeChanges(data, asked)
		if err == nil {
			soundAnswer(t, &frame.Answer{Consumed: asked.Items, States: changes}, asked)
		}
	})
}

func FuzzDecodeBlock(f *testing.F) {
	for name := range goldenBlocks() {
		f.Add(readHex(f, name))
	}
	plain := frametest.Binding().States[2].Fields
	plain[1].Nullable = true
	lists := []abi.FieldType{{Name: "l", Type: abi.ListOf(abi.I16), Nullable: true}, {Name: "d", Type: abi.DecimalOf(5, 2)}}
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, fields := range [][]abi.FieldType{plain, lists, lists[:1]} {
			columns, rows, err := frame.DecodeBlock(data, fields, -1, nil)
			if err != nil {
				continue
			}
			soundColumns(t, columns, rows)
			again := make([]byte, frame.BlockBytes(columns, 0, rows))
			frame.PutBlock(again, columns, 0, rows)
			back, n, err := frame.DecodeBlock(again, fields, rows, nil)
			if err != nil || n != rows || !same(frametest.Values(&columns[0]), frametest.Values(&back[0])) {
				t.Fatalf("written again: %d rows, %v", n, err)
			}
		}
	})
}

// TestFlips damages golden answers bit by bit: whatever is still accepted is sound.
func TestFlips(t *testing.T) {
	for name := range goldenAnswers() {
		data := readHex(t, name)
		for bit := range 8 * len(data) {
			damaged := bytes.Clone(data)
			damaged[bit/8] ^= 1 << (bit % 8)
			asked := goldenAsked()
			if a, err := goldenDecoder().Decode(place(damaged, 16), 16, uint32(len(damaged)), asked); err == nil {
				soundAnswer(t, a, asked)
			}
		}
		for n := range data {
			cut := bytes.Clone(data[:n])
			if n >= 12 {
				binary.LittleEndian.PutUint32(cut[8:], uint32(n))
			}
			asked := goldenAsked()
			if a, err := goldenDecoder().Decode(place(cut, 16), 16, uint32(n), asked); err == nil {
				soundAnswer(t, a, asked)
			}
		}
	}
}

// TestDecoderAllocates nothing for an answer, once its buffers have grown.
func TestDecoderAllocatesNothing(t *testing.T) {
	for _, name := range []string{"answer-rows", "answer-filter", "answer-state", "answer-timers", "answer-metrics"} {
		data := readHex(t, name)
		memory, d, asked := place(data, 16), goldenDecoder(), goldenAsked()
		var first *frame.Answer
		n := testing.AllocsPerRun(100, func() {
			a, err := d.Decode(memory, 16, uint32(len(data)), asked)
			if err != nil {
				t.Fatal(err)
			}
			first = a
		})
		if n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
		fresh, err := goldenDecoder().Decode(memory, 16, uint32(len(data)), asked)
		if err != nil || !reflect.DeepEqual(first, fresh) {
			t.Errorf("%s: a reused decoder gives another answer", name)
		}
	}
}
