package frame_test

import (
	"encoding/binary"
	"encoding/hex"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"testing"

	"github.com/tidemill/tidemill/abi"
	"github.com/tidemill/tidemill/abi/frame"
	"github.com/tidemill/tidemill/abi/frame/frametest"
)

var rewrite = flag.Bool("rewrite", false, "write the golden frames anew")

const goldenDir = "../testdata"

// goldenInputs are frames of the host; their bytes are pinned.
func goldenInputs() map[string]*frame.Input {
	context := frame.Context{Watermark: 1357034400000000, ProcessingTime: 1700000000000000, Seed: 0x0123456789abcdef, Port: 1}
	noPort := context
	noPort.Port = abi.NoPort
	keys := func() *frame.Keys {
		return &frame.Keys{N: 2, KeyOf: []uint32{0, 1, 0}, Columns: []frame.Column{frametest.Column(abi.UTF8, "AA", nil)}}
	}
	every := &frame.Rows{Rows: 3, Columns: []frame.Column{
		frametest.Column(abi.Bool, true, nil, true), frametest.Column(abi.I8, -1, 2, 3), frametest.Column(abi.I16, -1, nil, 3),
		frametest.Column(abi.I32, -1, 2, 3), frametest.Column(abi.I64, -1, 2, 3), frametest.Column(abi.F32, 1.5, -2.0, 0.0),
		frametest.Column(abi.F64, 1.5, nil, 0.0), frametest.Column(abi.Date32, 15706, 0, -1), frametest.Column(abi.Timestamp, 0, 1, 2),
		frametest.Column(abi.TimestampTZ, 0, 1, 2), frametest.Column(abi.UTF8, "über", "", nil), frametest.Column(abi.Binary, "\x00\xff", "", "a"),
	}}
	texts, decimals := abi.ListOf(abi.UTF8), abi.ListOf(abi.DecimalOf(20, 4))
	lists := &frame.Rows{Rows: 3, Columns: []frame.Column{
		frametest.Column(abi.DecimalOf(5, 2), "-1230", nil, "99999"), frametest.Column(abi.DecimalOf(38, 0), "0", "-1", strings.Repeat("9", 38)),
		frametest.Column(texts, []any{"über", ""}, []any{}, nil), frametest.Column(abi.ListOf(abi.Bool), []any{true}, []any{false, true}, []any{}),
		frametest.Column(decimals, []any{"1"}, []any{"-2", "3"}, []any{}), frametest.Column(abi.ListOf(abi.F64), []any{}, []any{}, []any{}),
		frametest.Column(abi.I8, 1, 2, 3),
	}}
	return map[string]*frame.Input{
		"input-batch-lists":      {Kind: abi.KindBatch, Sequence: 8, Context: context, Batch: lists},
		"input-batch-lists-cut":  {Kind: abi.KindBatch, Sequence: 9, Context: context, Batch: &frame.Rows{From: 1, Rows: 2, Columns: lists.Columns}},
		"input-batch-every-type": {Kind: abi.KindBatch, Sequence: 1, Context: context, Batch: every},
		"input-batch-no-columns": {Kind: abi.KindBatch, Sequence: 2, Context: context, Batch: &frame.Rows{Rows: 4096}},
		"input-batch-cut": {Kind: abi.KindBatch, Sequence: 3, Context: context, Batch: &frame.Rows{From: 1, Rows: 2, Columns: every.Columns,
			EventTime: []int64{10, 20, 30}, Kinds: []byte{0, 1, 2}}},
		"input-batch-keyed": {Kind: abi.KindBatch, Sequence: 4, Context: context, Keys: keys(),
			Batch: &frame.Rows{Rows: 3, Columns: []frame.Column{frametest.Column(abi.I64, 7, 8, 9)}, EventTime: []int64{10, 20, 30}},
			States: []frame.StateIn{
				{State: 0, Kind: abi.StateValue, Status: []byte{1, 0}, Entries: 2, Columns: []frame.Column{frametest.Column(abi.I64, 5, nil)}},
				{State: 2, Kind: abi.StateList, Status: []byte{1, 2}, Start: []uint32{0, 2, 2}, Entries: 2,
					Columns: []frame.Column{frametest.Column(abi.UTF8, "a", "bc")}},
				{State: 3, Kind: abi.StateMap, Status: []byte{0, 1}, Start: []uint32{0, 0, 1}, Entries: 1,
					Columns: []frame.Column{frametest.Column(abi.UTF8, "LAX"), frametest.Column(abi.I64, 12)}},
			}},
		"input-timers": {Kind: abi.KindTimers, Sequence: 5, Context: noPort,
			Keys: &frame.Keys{N: 2, KeyOf: []uint32{0, 1}, Columns: []frame.Column{frametest.Column(abi.UTF8, "AA", "UA")}},
			Timers: &frame.TimersIn{Key: []uint32{0, 1}, Name: []uint16{1, 0}, Domain: []byte{0, 0}, Time: []int64{1357034400000000, 1},
				TagOffsets: []int32{0, 3, 3}, Tags: []byte("tag")}},
		"input-watermark": {Kind: abi.KindWatermark, Sequence: 6, Context: noPort},
		"input-end":       {Kind: abi.KindEnd, Sequence: 7, Context: frame.Context{Watermark: abi.WatermarkEnd, ProcessingTime: 1, Port: abi.NoPort}},
	}
}

func goldenDecoder() *frame.Decoder {
	return &frame.Decoder{
		Binding: frametest.Binding(), BytesMax: abi.FrameBytesMax, CellBytesMax: abi.CellBytesMax, KeyBytesMax: abi.KeyBytesMax,
	}
}

func goldenAsked() *frame.Asked { return frametest.Asked(frametest.Sequence) }

func goldenAnswers() map[string]*frametest.Answer { return frametest.Answers(frametest.Sequence) }

// goldenBlocks are rows blocks.
func goldenBlocks() map[string][]frame.Column {
	return map[string][]frame.Column{
		"block-entries": {frametest.Column(abi.UTF8, "ATL", "LAX"), frametest.Column(abi.I64, 4, nil)},
		"block-end":     {frametest.Column(abi.UTF8), frametest.Column(abi.I64)},
		"block-lists":   {frametest.Column(abi.ListOf(abi.I16), []any{1, -2}), frametest.Column(abi.DecimalOf(5, 2), "-1230")},
		"block-no-list": {frametest.Column(abi.ListOf(abi.UTF8))},
	}
}

// TestGolden pins bytes: those that the host writes are compared as written, those of guests are read and compared as understood.
func TestGolden(t *testing.T) {
	for name, in := range goldenInputs() {
		data := make([]byte, in.Size())
		in.Put(data)
		checkGolden(t, name, data, false)
	}
	for name, columns := range goldenBlocks() {
		data := make([]byte, frame.BlockBytes(columns, 0, columns[0].Len))
		frame.PutBlock(data, columns, 0, columns[0].Len)
		checkGolden(t, name, data, false)
	}
	for name, a := range goldenAnswers() {
		data := a.Encode()
		checkGolden(t, name, data, true)
		got, err := goldenDecoder().Decode(place(data, 16), 16, uint32(len(data)), goldenAsked())
		if err != nil {
			t.Errorf("%s: %v", name, err)
		} else {
			checkGoldenText(t, name+".txt", []byte(describe(got)))
		}
	}
}

func checkGolden(t *testing.T, name string, data []byte, answer bool) {
	t.Helper()
	checkGoldenText(t, name+".hex", []byte(annotate(data, answer, strings.HasPrefix(name, "block"))))
	if back := readHex(t, name); string(back) != string(data) {
		t.Errorf("%s: the text does not give the bytes back", name)
	}
}

func checkGoldenText(t *testing.T, name string, text []byte) {
	t.Helper()
	path := filepath.Join(goldenDir, name)
	if *rewrite {
		if err := os.WriteFile(path, text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v (go test -rewrite writes it)", err)
	}
	if string(want) != string(text) {
		t.Errorf("%s has changed: a change of the contract's bytes needs a new version\n%s", name, text)
	}
}

// readHex reads the bytes of a golden frame: in each line what stands between the offset and the bar.
func readHex(t testing.TB, name string) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(goldenDir, name+".hex"))
	if err != nil {
		t.Fatal(err)
	}
	var data []byte
	for line := range strings.Lines(string(text)) {
		_, rest, _ := strings.Cut(line, "  ")
		digits, _, _ := strings.Cut(rest, "|")
		b, err := hex.DecodeString(strings.ReplaceAll(strings.TrimSpace(digits), " ", ""))
		if err != nil {
			t.Fatalf("%s: %v in %q", name, err, line)
		}
		data = append(data, b...)
	}
	return data
}

// annotate writes bytes as text, a line for each thing that SPEC.md names, with its name behind a bar.
func annotate(data []byte, answer, block bool) string {
	labels := map[int]string{}
	if block {
		labels[0] = "block: rows, columns, nodes, total length"
		labelNodes(labels, data, 16, int(u32(data, 8)), "")
	} else {
		labels[0] = "header: magic, version, kind, total length, sections"
		labels[16] = "header: sequence, slot, flags"
		labels[32] = "header: zero"
		for i := range int(u32(data, 12)) {
			labelSection(labels, data, 40+16*i, answer)
		}
	}
	var at []int
	for o := range labels {
		if o < len(data) {
			at = append(at, o)
		}
	}
	sort.Ints(at)
	var b strings.Builder
	for i, o := range at {
		end := len(data)
		if i+1 < len(at) {
			end = at[i+1]
		}
		label := labels[o]
		for ; o < end; o += 16 {
			n := min(16, end-o)
			line := fmt.Sprintf("%04x  %-48s| %s", o, fmt.Sprintf("% x", data[o:o+n]), label)
			b.WriteString(strings.TrimRight(line, "| ") + "\n")
			label = ""
		}
	}
	return b.String()
}

func u32(b []byte, at int) uint32 { return binary.LittleEndian.Uint32(b[at:]) }

func labelSection(labels map[int]string, data []byte, entry int, answer bool) {
	id, index := abi.SectionID(binary.LittleEndian.Uint16(data[entry:])), binary.LittleEndian.Uint16(data[entry+2:])
	at := int(u32(data, entry+8))
	name := fmt.Sprintf("%s(%d)", id, index)
	labels[entry] = "section table: " + name
	labels[at] = name
	array := func(field int, what string) {
		if o := int(u32(data, at+field)); o > 0 {
			labels[o] = name + " " + what
		}
	}
	switch id {
	case abi.SectionBatch:
		array(16, "item_of")
		array(20, "event times")
		array(24, "row kinds")
		labelNodes(labels, data, at+32, int(u32(data, at+8)), name+" ")
	case abi.SectionKeys:
		array(16, "key_of")
		labelNodes(labels, data, at+32, int(u32(data, at+12)), name+" ")
	case abi.SectionState:
		if answer {
			array(16, "key indexes")
			array(20, "operations")
		} else {
			array(16, "status")
			array(20, "start")
		}
		labelNodes(labels, data, at+32, int(u32(data, at+12)), name+" ")
	case abi.SectionTimers:
		for field, what := range map[int]string{8: "keys", 12: "names", 16: "domains", 20: "operations", 24: "times", 28: "tag offsets", 32: "tags"} {
			array(field, what)
		}
	}
}

func labelNodes(labels map[int]string, data []byte, node, n int, name string) {
	columns, elements := 0, false
	for i := range n {
		at := node + 40*i
		column := fmt.Sprintf("%scolumn %d", name, columns-1)
		if elements {
			column += " elements"
		} else {
			column = fmt.Sprintf("%scolumn %d", name, columns)
			columns++
		}
		elements = u32(data, at+12) > 0
		labels[at] = fmt.Sprintf("%s: node, %s", column, abi.Type(binary.LittleEndian.Uint16(data[at:])))
		if binary.LittleEndian.Uint16(data[at+2:]) != 0 {
			continue
		}
		for field, what := range map[int]string{16: "validity", 24: "offsets", 32: "values"} {
			if u32(data, at+field+4) > 0 {
				labels[int(u32(data, at+field))] = column + " " + what
			}
		}
	}
}

// describe writes what the host understood of an answer.
func describe(a *frame.Answer) string {
	var b strings.Builder
	fmt.Fprintf(&b, "consumed %d, materialised %d bytes\n", a.Consumed, a.Materialised)
	for _, o := range a.Batches {
		fmt.Fprintf(&b, "port %d: %d rows, identity %v, items %v, event times %v\n", o.Port, o.Rows, o.Identity, o.ItemOf, o.EventTime)
		describeColumns(&b, o.Columns)
	}
	for _, s := range a.States {
		fmt.Fprintf(&b, "state %d: keys %v, operations %v\n", s.State, s.Key, s.Op)
		describeColumns(&b, s.Columns)
	}
	if t := a.Timers; t != nil {
		fmt.Fprintf(&b, "timers: %+v\n", *t)
	}
	for _, m := range a.Metrics {
		fmt.Fprintf(&b, "metric %d: %#x\n", m.Metric, m.Value)
	}
	if a.Failure != nil {
		fmt.Fprintf(&b, "error: %+v\n", *a.Failure)
	}
	return b.String()
}

func describeColumns(b *strings.Builder, columns []frame.Column) {
	for i := range columns {
		c := &columns[i]
		if c.Pass != 0 {
			fmt.Fprintf(b, "  %s: passes through %s column %d\n", c.Type, map[uint16]string{abi.NodeInput: "input", abi.NodeKey: "key"}[c.Pass], c.Ref)
		} else {
			var texts []string
			for _, v := range frametest.Values(c) {
				if v == nil {
					texts = append(texts, "null")
				} else {
					texts = append(texts, fmt.Sprintf("%#v", v))
				}
			}
			fmt.Fprintf(b, "  %s: %s\n", c.Type, strings.Join(texts, ", "))
		}
	}
}
