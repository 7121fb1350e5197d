package checkpoint

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/tidemill/tidemill/connectors"
	"github.com/tidemill/tidemill/internal/errcode"
	"github.com/tidemill/tidemill/runtime/checkpoint/segment"
	"github.com/tidemill/tidemill/runtime/record"
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

// damageOf returns what an error says is damaged; it fails the test for any other outcome.
func damageOf(t testing.TB, what string, err error) *Damage {
	t.Helper()
	var d *Damage
	if !errcode.Is(err, ErrDamaged) || !errors.As(err, &d) {
		t.Fatalf("%s: %v, want %s", what, err, ErrDamaged.ID)
	}
	return d
}

func testManifest() *Manifest {
	return &Manifest{
		Job: "late-flights", PlanDigest: strings.Repeat("ab", 32), Modules: map[string]string{"delays": strings.Repeat("cd", 32)},
		Parallelism: 2, MaxParallelism: 128, Checkpoint: 12, Kind: Periodic,
		Time:         time.Date(2026, 11, 22, 10, 30, 0, 123456789, time.UTC),
		RestoredFrom: 9, Previous: &Link{11, strings.Repeat("ef", 32)}, ProcessingTime: 1_795_343_400_000_000,
		Enumerators: []Enumerator{{Source: "flights", State: []byte(`{"seen":2}`), Done: true}},
		Splits: []Split{
			{Source: "flights", Split: connectors.Split{ID: "flights.csv:1", Spec: []byte(`{"to":200}`)}, Subtask: -1, Watermark: record.WatermarkNone},
			{Source: "flights", Split: connectors.Split{ID: "flights.csv:0"}, Position: record.Position{Offset: 100, Records: 3, Token: "t", Done: true}, Watermark: 99},
		},
		Watermarks: []Watermark{{"delays", 1, record.WatermarkEnd}, {"delays", 0, -5}},
		Segments: []Segment{
			{File: "seg-00000012-delays-0-64", Node: "delays", Groups: [2]int{0, 64}, Checkpoint: 12, Bytes: 100, Entries: 1, XXH3: strings.Repeat("01", 16)},
			{File: "seg-00000010-delays-0-64", Node: "delays", Groups: [2]int{0, 64}, Checkpoint: 10, Base: true, Bytes: 900, Entries: 9, XXH3: strings.Repeat("02", 16)},
			{File: "seg-00000011-delays-64-128", Node: "delays", Groups: [2]int{64, 128}, Checkpoint: 11, Base: true, Bytes: 90, Entries: 2, XXH3: strings.Repeat("03", 16)},
		},
		Committables: []connectors.Committable{{Sink: "daily", Subtask: 1, Checkpoint: 12, Data: []byte(`"b"`)},
			{Sink: "daily", Subtask: 0, Checkpoint: 12, Data: []byte(`"a"`)}},
		Writers: []Writer{{Sink: "daily", Subtask: 0, State: []byte(`{"next":4}`)}},
	}
}

func TestManifestGolden(t *testing.T) {
	content, err := testManifest().Encode()
	if err != nil {
		t.Fatal(err)
	}
	file := ManifestName(12)
	golden(t, file, content)
	stored, err := os.ReadFile(filepath.Join("testdata", file))
	if err != nil {
		t.Fatal(err)
	}
	got, err := DecodeManifest(file, stored)
	if err != nil {
		t.Fatal(err)
	}
	want := testManifest()
	want.normalize()
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	sum := sha256.Sum256(stored)
	if d := ManifestDigest(stored); d != hex.EncodeToString(sum[:]) {
		t.Errorf("digest %s is not the SHA-256 of the file", d)
	}
}

func TestManifestRoundTrip(t *testing.T) {
	for seed := range uint64(200) {
		rng := rand.New(rand.NewPCG(seed, 1))
		m := testManifest()
		text := func() string {
			return string(rune('a'+rng.IntN(26))) + "\x00\"\u2028é" + string(rune(0x1f600+rng.IntN(50)))
		}
		m.Job, m.Checkpoint = text(), 12+rng.Uint64N(math.MaxUint64-12)
		m.Splits, m.Watermarks, m.Committables = nil, nil, nil
		for i := range rng.IntN(20) {
			m.Splits = append(m.Splits, Split{Source: text(), Watermark: rng.Int64() - rng.Int64(),
				Split:    connectors.Split{ID: fmt.Sprint(i, text()), Spec: []byte(text())},
				Position: record.Position{Offset: rng.Int64(), Records: rng.Int64(), Token: text(), Done: rng.IntN(2) == 0}})
			m.Watermarks = append(m.Watermarks, Watermark{text(), i, math.MinInt64 + rng.Int64()})
			m.Committables = append(m.Committables, connectors.Committable{Sink: text(), Subtask: i, Data: []byte{0, 0xff, byte(i)}})
		}
		content, err := m.Encode()
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		got, err := DecodeManifest(ManifestName(m.Checkpoint), content)
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		if !reflect.DeepEqual(got, m) {
			t.Fatalf("seed %d:\ngot  %+v\nwant %+v", seed, got, m)
		}
	}
}

// TestManifestDamage turns every bit, cuts at every length and appends: each is found.
func TestManifestDamage(t *testing.T) {
	content, err := testManifest().Encode()
	if err != nil {
		t.Fatal(err)
	}
	file := ManifestName(12)
	check := func(what string, b []byte) {
		t.Helper()
		_, err := DecodeManifest(file, b)
		if d := damageOf(t, what, err); d.File != file {
			t.Fatalf("%s: %v", what, d)
		}
	}
	for i := range content {
		for bit := range 8 {
			content[i] ^= 1 << bit
			check(fmt.Sprintf("bit %d of byte %d", bit, i), content)
			content[i] ^= 1 << bit
		}
		check(fmt.Sprintf("cut to %d bytes", i), content[:i])
	}
	for _, tail := range []string{"\n", " ", "\x00", string(content)} {
		check("bytes appended", append(bytes.Clone(content), tail...))
	}
	_, err = DecodeManifest(ManifestName(13), content)
	damageOf(t, "the file of another checkpoint", err)
}

func TestManifestNewerVersion(t *testing.T) {
	content := seal(manifestHead(ManifestVersion+1), []byte(`{"what":"unknown"}`))
	_, err := DecodeManifest(ManifestName(12), content)
	if !errcode.Is(err, ErrNewer) || !strings.Contains(err.Error(), ManifestName(12)) {
		t.Errorf("%v", err)
	}
	content[len(manifestMagic)] ^= 2 // another digit, without the checksum of the line
	_, err = DecodeManifest(ManifestName(12), content)
	damageOf(t, "a damaged version", err)
}

// TestManifestCheck has each thing that a manifest must not say, under a good checksum.
func TestManifestCheck(t *testing.T) {
	cases := map[string]func(*Manifest){
		"no job":                        func(m *Manifest) { m.Job = "" },
		"no id":                         func(m *Manifest) { m.Checkpoint = 0 },
		"parallelism over the maximum":  func(m *Manifest) { m.Parallelism = 129 },
		"an unknown kind":               func(m *Manifest) { m.Kind = "savepoint" },
		"finished and periodic":         func(m *Manifest) { m.Finished = true },
		"it follows itself":             func(m *Manifest) { m.Previous.Checkpoint = 12 },
		"restored from a later one":     func(m *Manifest) { m.RestoredFrom = 13 },
		"a split twice":                 func(m *Manifest) { m.Splits[0].Split.ID = m.Splits[1].Split.ID },
		"a split id that is not UTF-8":  func(m *Manifest) { m.Splits[0].Split.ID = "caf\xe9.csv" },
		"a token that is not UTF-8":     func(m *Manifest) { m.Splits[0].Position.Token = "\xff" },
		"an enumerator twice":           func(m *Manifest) { m.Enumerators = append(m.Enumerators, m.Enumerators[0]) },
		"groups beyond the maximum":     func(m *Manifest) { m.Segments[2].Groups[1] = 129 },
		"empty groups":                  func(m *Manifest) { m.Segments[2].Groups = [2]int{64, 64} },
		"overlapping groups":            func(m *Manifest) { m.Segments[2].Groups = [2]int{63, 128} },
		"a segment of a later one":      func(m *Manifest) { m.Segments[0].File, m.Segments[0].Checkpoint = "seg-00000013-delays-0-64", 13 },
		"a segment outside":             func(m *Manifest) { m.Segments[0].File = "../seg-00000012-delays-0-64" },
		"a segment without a checksum":  func(m *Manifest) { m.Segments[0].XXH3 = "" },
		"a base in the middle":          func(m *Manifest) { m.Segments[0].Base = true },
		"two segments of one chain end": func(m *Manifest) { m.Segments[1].File, m.Segments[1].Checkpoint = m.Segments[0].File, 12 },
	}
	for name, change := range cases {
		m := testManifest()
		change(m)
		if _, err := m.Encode(); err == nil {
			t.Errorf("%s: written", name)
		}
	}
}

func TestChain(t *testing.T) {
	m := testManifest()
	m.normalize()
	files := func(groups [2]int) string {
		var names []string
		for _, s := range m.Chain("delays", groups) {
			names = append(names, strings.TrimPrefix(s.File, "seg-000000"))
		}
		return strings.Join(names, " ")
	}
	for groups, want := range map[[2]int]string{
		{0, 64}:    "10-delays-0-64 12-delays-0-64",
		{64, 128}:  "11-delays-64-128",
		{0, 128}:   "10-delays-0-64 11-delays-64-128 12-delays-0-64",
		{63, 65}:   "10-delays-0-64 11-delays-64-128 12-delays-0-64",
		{100, 110}: "11-delays-64-128",
	} {
		if got := files(groups); got != want {
			t.Errorf("groups %v: %s, want %s", groups, got, want)
		}
	}
	if c := m.Chain("other", [2]int{0, 128}); c != nil {
		t.Errorf("a node without state: %v", c)
	}
}

func TestNames(t *testing.T) {
	for file, want := range map[string]Name{
		"chk-00000012.manifest":          {FileManifest, 12},
		"chk-123456789.manifest":         {FileManifest, 123456789},
		"chk-00000012.aside":             {FileAside, 12},
		"seg-00000012-delays-0-64":       {FileSegment, 12},
		".tmp-chk-00000012.manifest":     {Kind: FileTemporary},
		"LOCK":                           {Kind: FileLock},
		"chk-12.manifest":                {},
		"chk-00000000.manifest":          {},
		"chk-00000012.manifest.orig":     {},
		"chk-+0000012.manifest":          {},
		"seg-00000012":                   {},
		"seg-00000012-":                  {},
		"notes.txt":                      {},
		"chk-0000012x.manifest":          {},
		"chk-000000000000012.manifest":   {},
		"chk-99999999999999999999.aside": {},
	} {
		got, ok := ParseName(file)
		if ok != (want.Kind != 0) || ok && got != want {
			t.Errorf("%s: %+v %t, want %+v", file, got, ok, want)
		}
	}
	names := map[string]string{}
	for _, node := range []string{"a", "A", "a.b", "a_b", "a-b", "ä", "", strings.Repeat("x", 64), strings.Repeat("x", 65), "a/b", "~61"} {
		name := segment.Name(1, node, [2]int{0, 1})
		if other, twice := names[strings.ToLower(name)]; twice {
			t.Errorf("nodes %q and %q share the file %s", node, other, name)
		}
		names[strings.ToLower(name)] = node
		if got, ok := ParseName(name); !ok || got.Kind != FileSegment || strings.ContainsAny(name, `/\`) || len(name) > 128 {
			t.Errorf("node %q has the file %q", node, name)
		}
	}
}

// FuzzManifest decodes arbitrary bytes as a file, and as JSON under a good checksum: no panic, and what is read is what would be
// written.
func FuzzManifest(f *testing.F) {
	content, err := testManifest().Encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(content)
	f.Add(content[bytes.IndexByte(content, '\n')+1 : len(content)-trailerBytes])
	f.Fuzz(func(t *testing.T, data []byte) {
		file := ManifestName(12)
		if _, err := DecodeManifest(file, data); err != nil && !errcode.Is(err, ErrDamaged) && !errcode.Is(err, ErrNewer) {
			t.Fatalf("as a file: %v", err)
		}
		m, err := DecodeManifest(file, seal(manifestHead(ManifestVersion), data))
		if err != nil {
			damageOf(t, "under a good checksum", err)
			return
		}
		again, err := m.Encode()
		if err != nil {
			t.Fatalf("read but not written: %v", err)
		}
		back, err := DecodeManifest(file, again)
		if err != nil {
			t.Fatalf("written back: %v", err)
		}
		if third, err := back.Encode(); err != nil || !bytes.Equal(third, again) {
			t.Fatalf("written back it is another: %v\n%s\n%s", err, again, third)
		}
	})
}

// TestNewerGolden keeps a manifest of a format to come for tests outside the package.
func TestNewerGolden(t *testing.T) {
	golden(t, "newer.manifest", seal(manifestHead(ManifestVersion+1), []byte("of the future")))
}
