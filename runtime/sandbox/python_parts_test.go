package sandbox

import (
	"fmt"
	"io/fs"
	"os"
	"strings"
	"testing"

	"github.com/tidemill/tidemill/runtime/operator"
	"github.com/tidemill/tidemill/runtime/record"
	"github.com/tidemill/tidemill/runtime/sandbox/script"
	"github.com/tidemill/tidemill/runtime/sandbox/script/python"
)

// TestPythonParts runs an operator that asserts by itself what its parts do: its state over two frames, rows of classes of all kinds,
// and a package with a data file. A row is refused inside the package, and the error shows the way there.
func TestPythonParts(t *testing.T) {
	code := folderCode(t, "testdata/parts")
	m := &script.Module{Base: python.Base().Reference, Code: code, Describe: []byte("{}")}
	binary, err := m.Encode()
	if err != nil {
		t.Fatal(err)
	}
	module := scriptModule(t, pythons(), binary)
	if m.Describe, err = DescribeBytes(module, Limits{}); err != nil {
		t.Fatal(err)
	}
	if binary, err = m.Encode(); err != nil {
		t.Fatal(err)
	}
	module = scriptModule(t, pythons(), binary)

	inputs := []operator.Input{{Port: "records", Keys: []int{0}, Schema: schema(t,
		record.Field{Name: "k", Type: record.UTF8}, record.Field{Name: "n", Type: record.I64})}}
	key := inputs[0].Schema.Fields[:1]
	found, err := Inspect(module, Limits{}, Request("parts", "job", "op", 0, 1, inputs, key, nil))
	if err != nil {
		t.Fatal(err)
	}
	r := newRigFor(t, &program{descriptor: *found.Descriptor}, module, "parts", inputs, nil)
	for _, keys := range []string{"abaa", "aba"} {
		b := record.NewBatch(inputs[0].Schema, len(keys))
		for i, k := range keys {
			b.Columns[0].AppendString(string(k))
			b.Columns[1].AppendInt(int64(i + 1))
		}
		b.Rows = len(keys)
		r.process(0, b)
	}

	if len(r.rejected) != 1 {
		for _, x := range r.rejected {
			t.Error(x.Cause)
		}
		t.Fatalf("%d rows were refused, one was to be", len(r.rejected))
	}
	for _, says := range []string{"JSONDecodeError", "inner.fails()", `File "pkg/inner.py", line 7, in fails`, "(pkg/inner.py:7)"} {
		if !strings.Contains(r.rejected[0].Cause.Error(), says) {
			t.Errorf("the error does not say %q: %v", says, r.rejected[0].Cause)
		}
	}
	var got []string
	for _, e := range r.emitted {
		for i := range e.batch.Rows {
			c := e.batch.Columns
			got = append(got, fmt.Sprintf("%d %t %d %d %s", c[0].Int(i), c[1].Null(i), c[2].Int(i), c[3].Int(i), c[4].Bytes(i)))
		}
	}
	// 2020-02-29T10:30:01.000005Z in microseconds, 0001-01-01 in days.
	const rest = " true 1582972201000005 -719162 x"
	want := []string{"1" + rest, "2" + rest, "3" + rest, "1" + rest, "2" + rest, "3" + rest}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("emitted %q, want %q", got, want)
	}
}

// folderCode is the code archive of a folder whose operator is op.py.
func folderCode(t *testing.T, folder string) []byte {
	t.Helper()
	a := script.Archive{Entry: "op.py"}
	tree := os.DirFS(folder)
	err := fs.WalkDir(tree, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := fs.ReadFile(tree, path)
		a.Files = append(a.Files, script.File{Path: path, Text: string(text)})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	code, err := a.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return code
}
