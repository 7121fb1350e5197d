package script

import (
	"encoding/json"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/tidemill/tidemill/internal/errcode"
)

func op(files ...File) *Archive {
	return &Archive{Entry: "op.py", Files: append(files, File{"op.py", "x = 1\n"})}
}

// TestArchiveBytes pins the encoding: what Python's json.dumps(sort_keys=True, separators=(",", ":"), ensure_ascii=False) writes.
func TestArchiveBytes(t *testing.T) {
	a := op(File{"lib/__init__.py", ""}, File{"lib/café.txt", "\x00\b\t\n\v\f\r\x1f \"\\/<>&\u2028é\x7f\U0001f600"})
	got, err := a.Encode()
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"entry":"op.py","files":[["lib/__init__.py",""],["lib/café.txt","\u0000\b\t\n\u000b\f\r\u001f \"\\/<>&` + "\u2028é\x7f\U0001f600" +
		`"],["op.py","x = 1\n"]]}`
	if string(got) != want {
		t.Errorf("got\n%q, want\n%q", got, want)
	}
}

// TestArchiveRoundTrip encodes random texts and reads them back, once with encoding/json.
func TestArchiveRoundTrip(t *testing.T) {
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 2))
		text := make([]rune, r.IntN(50))
		for i := range text {
			text[i] = rune(r.IntN([]int{0x20, 0x80, 0x3000, 0xd800}[r.IntN(4)]))
		}
		a := op(File{"a.txt", string(text)})
		data, err := a.Encode()
		if err != nil {
			t.Fatal(err)
		}
		back, err := ParseArchive(data)
		if err != nil || back.Entry != a.Entry || len(back.Files) != 2 || back.Files[0] != a.Files[0] || back.Files[1] != a.Files[1] {
			t.Fatalf("seed %d: %v, %v", seed, back, err)
		}
		var file struct{ Files [][]string }
		if err := json.Unmarshal(data, &file); err != nil || file.Files[0][1] != string(text) {
			t.Fatalf("seed %d: %q, %v", seed, file.Files, err)
		}
	}
}

func TestArchivesThatCannotBe(t *testing.T) {
	for name, c := range map[string]struct {
		archive *Archive
		want    string
	}{
		"above":      {op(File{"../x.py", ""}), "does not stay below"},
		"absolute":   {op(File{"/x.py", ""}), "does not stay below"},
		"roundabout": {op(File{"a/../x.py", ""}), "does not stay below"},
		"dot":        {op(File{"./x.py", ""}), "does not stay below"},
		"twice /":    {op(File{"a//x.py", ""}), "does not stay below"},
		"backslash":  {op(File{`a\x.py`, ""}), "backslash"},
		"control":    {op(File{"a\nx.py", ""}), "control character"},
		"drive":      {op(File{"c:x.py", ""}), "colon"},
		"empty":      {op(File{"", ""}), "is empty"},
		"native":     {op(File{"lib/fast.so", ""}), "of a kind that an archive does not hold"},
		"no suffix":  {op(File{"lib/README", ""}), "of a kind"},
		"long":       {op(File{strings.Repeat("a", 510) + ".py", ""}), "longer than 512 bytes"},
		"bytes":      {op(File{"a.py", "\xff"}), "not UTF-8"},
		"path bytes": {op(File{"\xff.py", ""}), "not UTF-8"},
		"order":      {op(File{"z.py", ""}), `"op.py" comes too late`},
		"same path":  {op(File{"op.py", "other"}), `"op.py" is there twice`},
		"no entry":   {&Archive{Entry: "main.py", Files: op().Files}, `"main.py" is not among the files`},
		"bad entry":  {&Archive{Entry: "my-op.py", Files: []File{{"my-op.py", ""}}}, "cannot be imported by its name"},
		"deep entry": {&Archive{Entry: "a/op.py", Files: []File{{"a/op.py", ""}}}, "cannot be imported by its name"},
		"large":      {op(File{"a.txt", strings.Repeat("x", ArchiveBytesMax)}), "at most 16777216 are allowed"},
		"many":       {&Archive{Entry: "op.py", Files: make([]File, FilesMax+1)}, "at most 10000"},
	} {
		if _, err := c.archive.Encode(); !errcode.Is(err, ErrArchive) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: encoding gives %v, want %q", name, err, c.want)
		}
		if name == "bytes" || name == "path bytes" {
			continue // JSON cannot hold them
		}
		if _, err := ParseArchive(c.archive.append(nil)); !errcode.Is(err, ErrArchive) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: parsing gives %v, want %q", name, err, c.want)
		}
	}
}

func TestArchivesThatAreNotCanonical(t *testing.T) {
	for name, text := range map[string]string{
		"space":       `{"entry": "op.py","files":[["op.py",""]]}`,
		"end":         `{"entry":"op.py","files":[["op.py",""]]}` + "\n",
		"order":       `{"files":[["op.py",""]],"entry":"op.py"}`,
		"more":        `{"entry":"op.py","files":[["op.py",""]],"extra":1}`,
		"case":        `{"Entry":"op.py","files":[["op.py",""]]}`,
		"member":      `{"entry":"op.py","entry":"op.py","files":[["op.py",""]]}`,
		"three":       `{"entry":"op.py","files":[["op.py","",""]]}`,
		"one":         `{"entry":"op.py","files":[["op.py"]]}`,
		"escape":      `{"entry":"op.py","files":[["op.py","\u0041"]]}`,
		"slash":       `{"entry":"op.py","files":[["op.py","\/"]]}`,
		"surrogate":   `{"entry":"op.py","files":[["op.py","\ud800"]]}`,
		"invalid":     "{\"entry\":\"op.py\",\"files\":[[\"op.py\",\"\xff\"]]}",
		"upper hex":   `{"entry":"op.py","files":[["op.py","\u001F"]]}`,
		"not JSON":    `{"entry":"op.py"`,
		"other types": `{"entry":"op.py","files":{"op.py":""}}`,
		"nothing":     ``,
		"null":        `null`,
	} {
		if _, err := ParseArchive([]byte(text)); !errcode.Is(err, ErrArchive) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzParseArchive(f *testing.F) {
	f.Add([]byte(`{"entry":"op.py","files":[["a.py","\n"],["op.py",""]]}`))
	f.Add([]byte(`{"entry":"op.py","files":[["../a.py",""],["op.py",""]]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		a, err := ParseArchive(data)
		if err != nil {
			return
		}
		again, err := a.Encode()
		if err != nil || string(again) != string(data) {
			t.Fatalf("%q is taken and written as %q, %v", data, again, err)
		}
		for _, f := range a.Files {
			if strings.HasPrefix(f.Path, "/") || strings.Contains("/"+f.Path+"/", "/../") {
				t.Fatalf("path %q", f.Path)
			}
		}
	})
}
