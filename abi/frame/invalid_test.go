package frame_test

import (
	"encoding/binary"
	"errors"
	"strings"
	"testing"

	"github.com/tidemill/tidemill/abi"
	"github.com/tidemill/tidemill/abi/frame"
	"github.com/tidemill/tidemill/abi/frame/frametest"
)

// TestInvalidAnswers has one case for each thing that can be wrong with an answer.
func TestInvalidAnswers(t *testing.T) {
	for _, c := range frametest.InvalidAnswers() {
		t.Run(c.Name, func(t *testing.T) {
			data := c.Data(frametest.Sequence)
			d, asked := goldenDecoder(), goldenAsked()
			if c.Setup != nil {
				c.Setup(d, asked)
			}
			_, err := d.Decode(place(data, 16), 16, uint32(len(data)), asked)
			checkViolation(t, err, c.Want)
		})
	}
}

func checkViolation(t *testing.T, err error, want string) {
	t.Helper()
	var v *abi.Violation
	if !errors.As(err, &v) {
		t.Fatalf("got %v, want a violation", err)
	}
	if !strings.Contains(v.Error(), want) || v.Part == "" {
		t.Errorf("got %q, want %q in it", v.Error(), want)
	}
}

// TestInvalidAddresses has answers that are not where the guest says.
func TestInvalidAddresses(t *testing.T) {
	data := readHex(t, "answer-rows")
	memory := place(data, 16)
	n := uint32(len(data))
	for _, c := range []struct {
		name  string
		at, n uint32
		want  string
	}{
		{"behind the memory", uint32(len(memory)) &^ 15, n, "end after the memory"},
		{"address and length overflow", 0xfffffff0, 0x20, "end after the memory"},
		{"no bytes", 16, 0, "0 bytes, a frame has 40"},
		{"less than a header", 16, 39, "39 bytes"},
		{"not aligned", 24, n - 8, "not a multiple of 16"},
	} {
		_, err := goldenDecoder().Decode(memory, c.at, c.n, goldenAsked())
		t.Run(c.name, func(t *testing.T) { checkViolation(t, err, c.want) })
	}
	d := goldenDecoder()
	d.BytesMax = int(n) - 1
	_, err := d.Decode(memory, 16, n, goldenAsked())
	checkViolation(t, err, "at most")
}

// TestAbsolute has buffers anywhere in the guest's memory, and nowhere in it.
func TestAbsolute(t *testing.T) {
	build := func(address, length uint32) ([]byte, *frametest.Edit) {
		e := &frametest.Edit{B: readHex(t, "answer-rows")}
		e.Put32(28, abi.FlagAbsolute)
		for column, fields := range [][]int{{16, 32}, {24, 32}} {
			for _, f := range fields {
				at := e.Section(batch, 0) + 32 + 40*column + f
				e.Put32(at, u32(e.B, at)+64) // the frame is placed at 64
			}
		}
		e.Node(batch, 0, 0, 32, address).Node(batch, 0, 0, 36, length)
		memory := place(e.B, 64)
		memory = append(memory[:len(memory)&^15], make([]byte, 64)...)
		copy(memory[8:], []byte{42, 0, 0, 0, 0, 0, 0, 0})
		return memory, e
	}
	memory, e := build(8, 16) // 8 is aligned for 8-byte values
	a, err := goldenDecoder().Decode(memory, 64, uint32(len(e.B)), goldenAsked())
	if err != nil {
		t.Fatal(err)
	}
	if got := frametest.Values(&a.Batches[0].Columns[0]); got[0] != 42 || got[1] != nil {
		t.Errorf("got %v", got)
	}
	if got := frametest.Values(&a.Batches[0].Columns[1]); got[0] != "a" || got[1] != "b" {
		t.Errorf("got %v", got)
	}
	for _, c := range []struct {
		address, length uint32
		want            string
	}{
		{4, 16, "not a multiple of 8"}, {1 << 30, 16, "end after the memory"}, {0xfffffff8, 16, "end after the memory"}, {8, 8, "the rows need 16"},
	} {
		memory, e := build(c.address, c.length)
		_, err := goldenDecoder().Decode(memory, 64, uint32(len(e.B)), goldenAsked())
		checkViolation(t, err, c.want)
	}
	if _, err := goldenDecoder().DecodeChanges(e.B, goldenAsked()); err == nil || !strings.Contains(err.Error(), "unknown flags") {
		t.Errorf("state_apply took absolute addresses: %v", err)
	}
}

// TestAbsoluteLists has the buffers of lists and decimals anywhere in the guest's memory. A decimal needs 8 bytes of alignment only.
func TestAbsoluteLists(t *testing.T) {
	for _, c := range []struct {
		shift uint32 // of the decimals
		want  string
	}{{0, ""}, {8, ""}, {4, "not a multiple of 8"}} {
		e := &frametest.Edit{B: readHex(t, "answer-lists")}
		e.Put32(28, abi.FlagAbsolute)
		for _, at := range []int{e.Section(batch, 2) + 32, e.Section(batch, 2) + 72, e.Section(batch, 2) + 112, e.Section(states, 3) + 32,
			e.Section(states, 3) + 72, e.Section(states, 3) + 112} {
			for f := 16; f < 40; f += 8 {
				if u32(e.B, at+f+4) > 0 {
					e.Put32(at+f, u32(e.B, at+f)+64) // the frame is placed at 64
				}
			}
		}
		memory := append(place(e.B, 64), make([]byte, 64)...)
		values := e.Section(batch, 2) + 112 + 32
		to := uint32(64+len(e.B)+15)&^15 + c.shift
		copy(memory[to:], memory[u32(e.B, values):][:32])
		binary.LittleEndian.PutUint32(memory[64+values:], to)
		a, err := goldenDecoder().Decode(memory, 64, uint32(len(e.B)), goldenAsked())
		if c.want != "" {
			checkViolation(t, err, c.want)
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		columns := append(a.Batches[0].Columns[:2:2], a.States[0].Columns...)
		for i, want := range [][]any{{[]any{"a", "é"}, nil}, {"-1230", "99999"}, {"1"}, {[]any{7, -8}}} {
			if got := frametest.Values(&columns[i]); !same(got, want) {
				t.Errorf("column %d: %v, want %v", i, got, want)
			}
		}
	}
}

// TestTolerated is what readers must put up with, so that the contract can grow.
func TestTolerated(t *testing.T) {
	for name, damage := range map[string]func(e *frametest.Edit){
		"unknown section":    extra(frametest.Section{ID: 99, Index: 7, Data: []byte{1, 2, 3}}),
		"longer sections":    extra(frametest.Section{ID: consumed, Data: []byte{3, 0, 0, 0, 0, 0, 0, 0, 9, 9, 9, 9}}),
		"nulls when cleared": func(e *frametest.Edit) { e.B = goldenAnswers()["answer-state"].Encode() },
		"several sections of a port": func(e *frametest.Edit) {
			a := *goldenAnswers()["answer-rows"]
			a.Batches = append(a.Batches, a.Batches[0])
			e.B = a.Encode()
		},
		"no rows": func(e *frametest.Edit) {
			a := *goldenAnswers()["answer-rows"]
			a.Batches = []frame.OutputRows{{Columns: []frame.Column{frametest.Column(abi.I64), frametest.Column(abi.UTF8)}}}
			e.B = a.Encode()
		},
	} {
		e := &frametest.Edit{}
		damage(e)
		d := goldenDecoder()
		d.Binding.States[0].Fields = notNullable(d.Binding.States[0].Fields)
		if _, err := d.Decode(place(e.B, 16), 16, uint32(len(e.B)), goldenAsked()); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestNoItems has answers to WATERMARK and END frames: rows are allowed, items are not.
func TestNoItems(t *testing.T) {
	asked := &frame.Asked{Kind: abi.KindEnd, Sequence: 9}
	rows := *goldenAnswers()["answer-rows"]
	rows.Kind = abi.KindEnd
	rows.Batches[0].ItemOf = []uint32{abi.ItemNone, abi.ItemNone}
	data := rows.Encode()
	a, err := goldenDecoder().Decode(place(data, 16), 16, uint32(len(data)), asked)
	if err != nil || a.Batches[0].Rows != 2 {
		t.Fatalf("%+v, %v", a, err)
	}
	rows.Consumed = 1
	data = rows.Encode()
	_, err = goldenDecoder().Decode(place(data, 16), 16, uint32(len(data)), asked)
	checkViolation(t, err, "1 items of 0")
}

// TestInvalidInputs has one case for each thing that can be wrong with an input frame, the reserved kinds among them.
func TestInvalidInputs(t *testing.T) {
	const context, keys = abi.SectionContext, abi.SectionKeys
	for _, c := range []struct {
		name, base string
		damage     func(*frametest.Edit)
		want       string
	}{
		{"migrate", "input-end", func(e *frametest.Edit) { e.Put16(6, uint16(abi.KindMigrate)) }, "MIGRATE is specified but not supported"},
		{"aggregate", "input-end", func(e *frametest.Edit) { e.Put16(6, uint16(abi.KindAggregate)) }, "AGGREGATE is specified but not supported"},
		{"slot", "input-end", raw32(24, 1), "a slot above 0 is specified but not supported"},
		{"unknown kind", "input-end", func(e *frametest.Edit) { e.Put16(6, 7) }, "unknown kind 7"},
		{"unknown flags", "input-end", raw32(28, 1), "unknown flags"},
		{"no context", "input-end", func(e *frametest.Edit) { e.Put16(40, 99) }, "no CONTEXT"},
		{"context reserved", "input-end", set(context, 0, 28, 1), "reserved field"},
		{"context too short", "input-end", raw32(52, 24), "32 at least"},
		{"port of a callback", "input-end", set(context, 0, 24, 0), "input port 0 in kind END"},
		{"batch in a callback", "input-batch-cut", func(e *frametest.Edit) { e.Put16(6, uint16(abi.KindEnd)) }, "do not go together"},
		{"timers in a batch", "input-timers", func(e *frametest.Edit) { e.Put16(6, uint16(abi.KindBatch)) }, "do not go together"},
		{"a section that must be understood", "input-end", func(e *frametest.Edit) { e.Put16(40, 99).Put32(44, 1) }, "must-understand"},
		{"index", "input-end", func(e *frametest.Edit) { e.Put16(42, 1) }, "index 1, not 0"},
		{"no rows", "input-batch-no-columns", set(batch, 0, 0, 0), "0 rows, 1 to 4096"},
		{"too many rows", "input-batch-no-columns", set(batch, 0, 0, 4097), "4097 rows"},
		{"identity in an input", "input-batch-no-columns", set(batch, 0, 12, 1), "flags 0x1"},
		{"item_of in an input", "input-batch-no-columns", set(batch, 0, 16, 96), "reserved field"},
		{"event times without flag", "input-batch-cut", set(batch, 0, 12, 4), "event times without"},
		{"kinds without flag", "input-batch-cut", set(batch, 0, 12, 2), "row kinds without"},
		{"row kind", "input-batch-cut", bits(batch, 0, 24, 0, 4), "row kind 4"},
		{"passed through", "input-batch-keyed", func(e *frametest.Edit) {
			e.Put16(e.Section(batch, 0)+34, 1)
			for f := 8; f < 40; f += 4 {
				e.Node(batch, 0, 0, f, 0)
			}
		}, "passes nothing through"},
		{"reserved type", "input-batch-keyed", node(batch, 0, 0, 0, uint32(abi.Time64)), "time64 is specified"},
		{"keys of other items", "input-batch-keyed", set(keys, 0, 0, 2), "2 items, the frame has 3"},
		{"more keys than items", "input-batch-keyed", set(keys, 0, 4, 4), "4 keys of 3 items"},
		{"keys without items", "input-batch-keyed", set(keys, 0, 4, 3), "3 keys of which 2 have items"},
		{"keys out of order", "input-batch-keyed", bits(keys, 0, 16, 0, 1), "first-appearance order"},
		{"keys reserved", "input-batch-keyed", set(keys, 0, 28, 1), "reserved field"},
		{"state out of order", "input-batch-keyed", func(e *frametest.Edit) { e.Put16(e.Entry(states, 2)+2, 0) }, "ascending order"},
		{"state kind", "input-batch-keyed", set(states, 0, 4, 4), "unknown state kind"},
		{"state status", "input-batch-keyed", bits(states, 0, 16, 0, 3), "status 3"},
		{"state reserved", "input-batch-keyed", set(states, 0, 28, 1), "reserved field"},
		{"state of other keys", "input-batch-keyed", func(e *frametest.Edit) {
			e.Field(states, 0, 0, 1).Field(states, 0, 24, 1).Node(states, 0, 0, 4, 1).Node(states, 0, 0, 8, 0)
		}, "1 cells, the frame has 2"},
		{"value with start", "input-batch-keyed", set(states, 0, 20, 96), "no start array"},
		{"start falls", "input-batch-keyed", bits(states, 2, 20, 8, 1), "start 1 of key 2"},
		{"start does not end", "input-batch-keyed", func(e *frametest.Edit) { e.B[e.At(states, 2, 20)+4] = 1; e.B[e.At(states, 2, 20)+8] = 1 }, "ends at 1 of 2"},
		{"entries of an absent key", "input-batch-keyed", bits(states, 2, 16, 0, 0), "entries of key 0, which is not inline"},
		{"no timers", "input-timers", set(timers, 0, 0, 0), "0 timers"},
		{"timer key", "input-timers", bits(timers, 0, 8, 0, 1), "is not that of KEYS"},
		{"timer domain", "input-timers", bits(timers, 0, 16, 0, 2), "domain 2"},
		{"timer operations in an input", "input-timers", set(timers, 0, 20, 96), "reserved field"},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := &frametest.Edit{B: readHex(t, c.base)}
			c.damage(e)
			_, err := frame.DecodeInput(e.B)
			checkViolation(t, err, c.want)
		})
	}
}

func TestInvalidBlocks(t *testing.T) {
	fields := frametest.Binding().States[2].Fields
	fields[1].Nullable = true
	for _, c := range []struct {
		name   string
		damage func(*frametest.Edit)
		rows   int
		want   string
	}{
		{"short", func(e *frametest.Edit) { e.B = e.B[:15] }, -1, "15 bytes"},
		{"total length", raw32(12, 1<<20), -1, "total length"},
		{"total length below its head", raw32(12, 15), -1, "total length 15"},
		{"columns", raw32(4, 1), -1, "1 columns, declared are 2"},
		{"nodes", raw32(8, 1), -1, "1 nodes for 2"},
		{"nodes do not fit", raw32(12, 40), -1, "do not fit"},
		{"rows", func(*frametest.Edit) {}, 1, "2 rows where there must be 1"},
		{"rows that cannot be", raw32(0, 1<<31), -1, "2147483648 rows"},
		{"type", raw32(16, uint32(abi.Binary)), -1, "type binary, declared is utf8"},
		{"passed through", func(e *frametest.Edit) {
			e.Put16(18, 1)
			for f := 24; f < 56; f += 4 {
				e.Put32(f, 0)
			}
		}, -1, "nothing can be passed through"},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := &frametest.Edit{B: readHex(t, "block-entries")}
			c.damage(e)
			_, _, err := frame.DecodeBlock(e.B, fields, c.rows, nil)
			checkViolation(t, err, c.want)
		})
	}
	fields[1].Nullable = false
	_, _, err := frame.DecodeBlock(readHex(t, "block-entries"), fields, -1, nil)
	checkViolation(t, err, "1 nulls in a column that is not nullable")
}

// Damage to input frames and answers, as in frametest.

const (
	batch    = abi.SectionBatch
	states   = abi.SectionState
	timers   = abi.SectionTimers
	consumed = abi.SectionConsumed
)

func set(id abi.SectionID, index, field int, v uint32) func(*frametest.Edit) {
	return func(e *frametest.Edit) { e.Field(id, index, field, v) }
}

func node(id abi.SectionID, index, column, field int, v uint32) func(*frametest.Edit) {
	return func(e *frametest.Edit) { e.Node(id, index, column, field, v) }
}

func raw32(at int, v uint32) func(*frametest.Edit) {
	return func(e *frametest.Edit) { e.Put32(at, v) }
}

func bits(id abi.SectionID, index, field, skip int, v byte) func(*frametest.Edit) {
	return func(e *frametest.Edit) { e.B[e.At(id, index, field)+skip] = v }
}

// extra adds a section to the golden answer with rows.
func extra(sections ...frametest.Section) func(*frametest.Edit) {
	return func(e *frametest.Edit) {
		a := *goldenAnswers()["answer-rows"]
		a.Extra = sections
		e.B = a.Encode()
	}
}

func notNullable(fields []abi.FieldType) []abi.FieldType {
	out := append([]abi.FieldType(nil), fields...)
	for i := range out {
		out[i].Nullable = false
	}
	return out
}
