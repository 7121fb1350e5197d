package segment

import (
	"bytes"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/tidemill/tidemill/internal/errcode"
	"github.com/tidemill/tidemill/runtime/record"
	"github.com/tidemill/tidemill/runtime/state"
)

var rewrite = flag.Bool("rewrite", false, "write the golden files anew")

// golden compares with a file of testdata, or writes it.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *rewrite {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s has changed: a change of the format needs a new version (-rewrite writes the file)\ngot:  %q\nwant: %q", path, got, want)
	}
}

func newReader(file string, b []byte) (*Reader, error) {
	return NewReader(file, io.NopCloser(bytes.NewReader(b)), int64(len(b)))
}

func testOf() Of          { return Of{12, "delays", [2]int{0, 64}, 128, false} }
func fileOf(of Of) string { return Name(of.Checkpoint, of.Node, of.Groups) }

// written is an entry in the terms of a test: what went in has to come out.
type written struct {
	space           state.Space
	key, sub, value string
	deleted         bool
}

func (w written) String() string {
	return fmt.Sprintf("%d %s %v %v key=%q sub=%q value=%q deleted=%t", w.space.Kind, w.space.Name, w.space.MapKey, w.space.Value, w.key,
		w.sub, w.value, w.deleted)
}

func testSpaces() []state.Space {
	return []state.Space{
		{Kind: state.SpaceValue, Name: "total", Value: []record.Field{{Name: "flights", Type: record.I64}, {Name: "worst", Type: record.UTF8, Nullable: true}}},
		{Kind: state.SpaceList, Name: "recent", Value: []record.Field{{Name: "at", Type: record.Timestamp}}},
		{Kind: state.SpaceMap, Name: "by_dest", MapKey: []record.Field{{Name: "dest", Type: record.UTF8}}, Value: []record.Field{{Name: "n", Type: record.I32}}},
		{Kind: state.SpaceTimersEvent, Name: "day"},
		{Kind: state.SpaceTimersProcessing, Name: "day"},
	}
}

// randomEntries makes entries of all sizes, with runs of one key and of one space.
func randomEntries(rng *rand.Rand, n, valueMax int) []written {
	spaces := testSpaces()
	text := func(max int) string {
		b := make([]byte, rng.IntN(max+1))
		for i := range b {
			b[i] = byte(rng.Uint32())
		}
		return string(b)
	}
	var list []written
	space, key := spaces[0], ""
	for range n {
		if rng.IntN(20) == 0 {
			space = spaces[rng.IntN(len(spaces))]
		}
		if rng.IntN(3) > 0 {
			key = text(20)
		}
		e := written{space: space, key: key, deleted: rng.IntN(5) == 0}
		if space.Kind != state.SpaceValue && rng.IntN(4) > 0 {
			e.sub = text(12)
		}
		if !e.deleted {
			e.value = text(valueMax)
		}
		list = append(list, e)
	}
	return list
}

func writeEntries(to state.Writer, list []written) error {
	for i, e := range list {
		if i == 0 || list[i-1].space.Name != e.space.Name || list[i-1].space.Kind != e.space.Kind {
			if err := to.Begin(e.space); err != nil {
				return err
			}
		}
		var err error
		if e.deleted {
			err = to.Delete([]byte(e.key), []byte(e.sub))
		} else {
			err = to.Put([]byte(e.key), []byte(e.sub), []byte(e.value))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func encode(t testing.TB, of Of, list []written) ([]byte, *Ref) {
	t.Helper()
	var b bytes.Buffer
	w, err := NewWriter(&b, of)
	if err != nil {
		t.Fatal(err)
	}
	if err := writeEntries(w, list); err != nil {
		t.Fatal(err)
	}
	s, err := w.Finish()
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes(), s
}

// decode reads everything; expect may be nil.
func decode(file string, b []byte, expect *Ref) ([]written, error) {
	r, err := newReader(file, b)
	if err != nil {
		return nil, err
	}
	r.expect = expect
	var list []written
	for {
		e, err := r.Next()
		if err == io.EOF {
			return list, nil
		}
		if err != nil {
			return list, err
		}
		list = append(list, written{*e.Space, string(e.Key), string(e.Sub), string(e.Value), e.Deleted})
	}
}

func sameEntries(t *testing.T, got, want []written) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%d entries, want %d", len(got), len(want))
	}
	for i := range got {
		a, b := got[i], want[i]
		if a.key != b.key || a.sub != b.sub || a.value != b.value || a.deleted != b.deleted || !reflect.DeepEqual(a.space, b.space) {
			t.Fatalf("entry %d:\ngot  %v\nwant %v", i, got[i], want[i])
		}
	}
}

func TestRoundTrip(t *testing.T) {
	for seed := range uint64(40) {
		rng := rand.New(rand.NewPCG(seed, 2))
		shape := []struct{ entries, value int }{{3000, 0}, {3000, 5}, {2000, 200}, {30, 100_000}}[rng.IntN(4)]
		list := randomEntries(rng, 1+rng.IntN(shape.entries), shape.value)
		b, s := encode(t, testOf(), list)
		got, err := decode(s.File, b, s)
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		sameEntries(t, got, list)
		if s.Bytes != int64(len(b)) || s.Entries != int64(len(list)) {
			t.Errorf("seed %d: the segment says %d bytes and %d entries, it has %d and %d", seed, s.Bytes, s.Entries, len(b), len(list))
		}
	}
}

func TestGolden(t *testing.T) {
	list := randomEntries(rand.New(rand.NewPCG(7, 7)), 40, 8)
	b, s := encode(t, testOf(), list)
	golden(t, s.File, b)
	var text strings.Builder
	fmt.Fprintf(&text, "bytes=%d entries=%d xxh3=%s\n", s.Bytes, s.Entries, s.XXH3)
	stored, err := os.ReadFile(filepath.Join("testdata", s.File))
	if err != nil {
		t.Fatal(err)
	}
	got, err := decode(s.File, stored, s)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range got {
		fmt.Fprintln(&text, e)
	}
	golden(t, "segment.txt", []byte(text.String()))
}

func TestWithoutEntriesIsNone(t *testing.T) {
	var b bytes.Buffer
	w, err := NewWriter(&b, testOf())
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Begin(testSpaces()[0]); err != nil {
		t.Fatal(err)
	}
	if s, err := w.Finish(); s != nil || err != nil || b.Len() != 0 {
		t.Errorf("segment %v, %v, %d bytes", s, err, b.Len())
	}
}

func TestOpenSize(t *testing.T) {
	b, s := encode(t, testOf(), randomEntries(rand.New(rand.NewPCG(6, 7)), 10, 10))
	_, err := Open(*s, io.NopCloser(bytes.NewReader(b)), int64(len(b))-1)
	if d := damageOf(t, "another size", err); !strings.Contains(d.What, "instead of") {
		t.Errorf("%v", d)
	}
	r, err := Open(*s, io.NopCloser(bytes.NewReader(b)), int64(len(b)))
	if err != nil || r.Of() != testOf() {
		t.Errorf("%+v, %v", r, err)
	}
}

// damageOf returns what an error says is damaged; it fails the test for any other outcome.
func damageOf(t testing.TB, what string, err error) *Damage {
	t.Helper()
	var d *Damage
	if !errcode.Is(err, ErrDamaged) || !errors.As(err, &d) {
		t.Fatalf("%s: %v, want %s", what, err, ErrDamaged.ID)
	}
	return d
}

// TestSegmentFlips turns every bit of a segment of several blocks: each is found, in the block where it is, also without a manifest.
func TestFlips(t *testing.T) {
	list := randomEntries(rand.New(rand.NewPCG(3, 3)), 60, 12)
	b, s := encode(t, testOf(), list)
	for i := range b {
		for bit := range 8 {
			b[i] ^= 1 << bit
			what := fmt.Sprintf("bit %d of byte %d of %d", bit, i, len(b))
			_, err := decode(s.File, b, nil)
			d := damageOf(t, what, err)
			if d.File != s.File || d.Offset > int64(i) || d.Offset < 0 {
				t.Fatalf("%s: found as %v", what, d)
			}
			b[i] ^= 1 << bit
		}
	}
}

func TestCutOrGrown(t *testing.T) {
	list := randomEntries(rand.New(rand.NewPCG(4, 4)), 800, 200)
	b, s := encode(t, testOf(), list)
	for n := range len(b) {
		if n > 500 && n < len(b)-500 && n%97 != 0 {
			continue
		}
		_, err := decode(s.File, b[:n], nil)
		damageOf(t, fmt.Sprintf("cut to %d of %d bytes", n, len(b)), err)
	}
	for _, tail := range []string{"\x00", "x", string(b)} {
		_, err := decode(s.File, append(bytes.Clone(b), tail...), nil)
		if d := damageOf(t, "bytes appended", err); d.Offset != int64(len(b)) {
			t.Errorf("%d bytes appended at %d: %v", len(tail), len(b), d)
		}
	}
}

// TestSegmentBlocks takes the blocks apart and leaves out, doubles and exchanges them: each has a good checksum of its own.
func TestBlocks(t *testing.T) {
	list := randomEntries(rand.New(rand.NewPCG(5, 5)), 1200, 300)
	b, s := encode(t, testOf(), list)
	blocks := [][]byte{b[:headerBytes]}
	for at := headerBytes; at < len(b); {
		n := blockHeadBytes + int(binary.LittleEndian.Uint32(b[at+8:]))
		blocks = append(blocks, b[at:at+n])
		at += n
	}
	if len(blocks) < 8 {
		t.Fatalf("only %d blocks", len(blocks))
	}
	try := func(what string, order [][]byte) {
		t.Helper()
		_, err := decode(s.File, bytes.Join(order, nil), nil)
		if d := damageOf(t, what, err); d.File != s.File {
			t.Errorf("%s: %v", what, d)
		}
	}
	for i := range blocks {
		without := append(append([][]byte{}, blocks[:i]...), blocks[i+1:]...)
		try(fmt.Sprintf("without block %d", i), without)
		doubled := append(append([][]byte{}, blocks[:i+1]...), blocks[i:]...)
		try(fmt.Sprintf("block %d twice", i), doubled)
		if i > 0 {
			exchanged := append([][]byte{}, blocks...)
			exchanged[i], exchanged[i-1] = exchanged[i-1], exchanged[i]
			try(fmt.Sprintf("block %d before %d", i, i-1), exchanged)
		}
	}
}

func TestExchanged(t *testing.T) {
	list := randomEntries(rand.New(rand.NewPCG(6, 6)), 10, 10)
	b, s := encode(t, testOf(), list)
	other := testOf()
	other.Checkpoint = 13
	_, err := decode(fileOf(other), b, nil)
	damageOf(t, "the file of another checkpoint", err)

	b2, _ := encode(t, testOf(), list[:9]) // as from another run of the same job
	_, err = decode(s.File, b2, s)
	damageOf(t, "the same segment with other content", err)
}

func TestNewerVersion(t *testing.T) {
	b := appendHeader(nil, Version+1)
	_, err := newReader("seg-00000001-a-0-1", append(b, "the future"...))
	if !errcode.Is(err, ErrNewer) || !strings.Contains(err.Error(), "seg-00000001-a-0-1") {
		t.Errorf("%v", err)
	}
}

// TestSegmentOverhead holds the format's part of P5; the coordinator's is how often a base comes.
func TestOverhead(t *testing.T) {
	var list []written
	changed := 0
	for i := range 20_000 {
		key := record.AppendKey(nil, []record.Column{intColumn(int64(i))}, []int{0}, 0)
		e := written{space: testSpaces()[0], key: string(key), value: strings.Repeat("v", 91)}
		changed += len(e.key) + len(e.value)
		list = append(list, e)
	}
	b, _ := encode(t, testOf(), list)
	ratio := float64(len(b)) / float64(changed)
	t.Logf("%d bytes for %d changed: %.4f", len(b), changed, ratio)
	if ratio > 1.035 {
		t.Errorf("%d bytes for %d changed: %.4f, want at most 1.035", len(b), changed, ratio)
	}
}

func intColumn(v int64) record.Column {
	c := record.NewColumn(record.I64, 1)
	c.AppendInt(v)
	return c
}

func TestLimits(t *testing.T) {
	w, err := NewWriter(io.Discard, testOf())
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Put([]byte("k"), nil, nil); err == nil {
		t.Error("an entry before its space was taken")
	}
	if err := w.Begin(testSpaces()[0]); err != nil {
		t.Fatal(err)
	}
	if err := w.Put([]byte("k"), nil, make([]byte, EntryBytesMax-1)); err != nil {
		t.Errorf("the greatest entry: %v", err)
	}
	if err := w.Put([]byte("k"), nil, make([]byte, EntryBytesMax)); !errcode.Is(err, ErrLimit) {
		t.Errorf("a greater entry: %v", err)
	}
	changed := testSpaces()[0]
	changed.Value = changed.Value[:1]
	if err := w.Begin(changed); err == nil {
		t.Error("two schemas of one state were taken")
	}
}

// TestSegmentGreatestEntry reads back an entry at the limit, behind small ones.
func TestGreatestEntry(t *testing.T) {
	list := []written{{space: testSpaces()[0], key: "a", value: "1"}, {space: testSpaces()[0], key: "a", value: strings.Repeat("x", EntryBytesMax-1)},
		{space: testSpaces()[0], key: "a", value: "2"}}
	b, s := encode(t, testOf(), list)
	got, err := decode(s.File, b, s)
	if err != nil {
		t.Fatal(err)
	}
	sameEntries(t, got, list)
}

// TestReaderMemory reads a block that claims to be long in a file that is not: nothing of that size is allocated.
func TestReaderMemory(t *testing.T) {
	b := appendHeader(nil, Version)
	b = binary.LittleEndian.AppendUint64(b, 0)
	b = binary.LittleEndian.AppendUint32(b, blockBytesMax)
	b = append(b, 1, 0, 0, 0, 'x')
	bytesUsed := testing.Benchmark(func(bench *testing.B) {
		for bench.Loop() {
			if _, err := newReader("seg-00000001-a-0-1", b); !errcode.Is(err, ErrDamaged) {
				bench.Fatal(err)
			}
		}
	}).AllocedBytesPerOp()
	if bytesUsed > 1<<20 {
		t.Errorf("%d bytes allocated", bytesUsed)
	}
}

// FuzzSegment reads arbitrary bytes as a file, and as blocks with good checksums: no panic, and what is read without an error is
// written back the same.
func FuzzSegment(f *testing.F) {
	b, _ := encode(f, testOf(), randomEntries(rand.New(rand.NewPCG(8, 8)), 30, 10))
	f.Add(b)
	f.Add([]byte("\x02\x07\x01\x01a\x00\x01\x01b\x05\x00\x03\x05\x00\x04\x00\x01k"))
	f.Fuzz(func(t *testing.T, data []byte) {
		of := testOf()
		if _, err := decode(fileOf(of), data, nil); err != nil && !errcode.Is(err, ErrDamaged) && !errcode.Is(err, ErrNewer) {
			t.Fatalf("as a file: %v", err)
		}
		file := sealBlocks(of, data)
		list, err := decode(fileOf(of), file, nil)
		if err != nil && !errcode.Is(err, ErrDamaged) {
			t.Fatalf("as blocks: %v", err)
		}
		if err != nil || len(list) == 0 {
			return
		}
		again, s := tryEncode(of, list)
		if s == nil {
			return // schemas that contradict each other: never written
		}
		back, err := decode(s.File, again, s)
		if err != nil {
			t.Fatalf("written back: %v", err)
		}
		sameEntries(t, back, list)
	})
}

func tryEncode(of Of, list []written) ([]byte, *Ref) {
	var b bytes.Buffer
	w, err := NewWriter(&b, of)
	if err != nil {
		return nil, nil
	}
	if writeEntries(w, list) != nil {
		return nil, nil
	}
	s, err := w.Finish()
	if err != nil {
		return nil, nil
	}
	return b.Bytes(), s
}

// sealBlocks makes a file of blocks that data describes (type, length, payload), with checksums and an end that fits as many
// entries as the reader will count.
func sealBlocks(of Of, data []byte) []byte {
	meta := []byte(fmt.Sprintf(`{"checkpoint":%d,"node":%q,"groups":[%d,%d],"max_parallelism":%d}`, of.Checkpoint, of.Node, of.Groups[0],
		of.Groups[1], of.MaxParallelism))
	file := appendHeader(nil, Version)
	add := func(kind uint32, payload []byte) {
		at := len(file)
		file = append(beginBlock(file), payload...)
		sealBlock(file[at:], kind)
	}
	add(blockMeta, meta)
	for len(data) >= 2 {
		n := min(int(data[1]), len(data)-2)
		add(uint32(data[0]), data[2:2+n])
		data = data[2+n:]
	}
	r, err := newReader(fileOf(of), file)
	if err != nil {
		return file
	}
	for err == nil {
		_, err = r.Next()
	}
	return append(file, appendEnd(nil, r.count, int64(len(file)), r.total.Sum128())...)
}
