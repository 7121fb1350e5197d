package abi

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

func readSpec(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("SPEC.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestSpecLimits compares the table of limits with the constants: every limit of abi.go stands there, with its value.
func TestSpecLimits(t *testing.T) {
	limits := map[string]int{
		"FrameInAimBytes": FrameInAimBytes, "FrameBytesMax": FrameBytesMax, "RowsMax": RowsMax, "FramePrefetchBytesMax": FramePrefetchBytesMax,
		"CellBytesMax": CellBytesMax, "KeyBytesMax": KeyBytesMax, "TagBytesMax": TagBytesMax, "SectionsMax": SectionsMax, "ColumnsMax": ColumnsMax,
		"InputPortsMax": InputPortsMax, "OutputPortsMax": OutputPortsMax, "StatesMax": StatesMax, "TimerNamesMax": TimerNamesMax,
		"MetricsMax": MetricsMax, "NameBytesMax": NameBytesMax, "DescriptorBytesMax": DescriptorBytesMax, "ErrorMessageBytes": ErrorMessageBytes,
		"LogLineBytesMax": LogLineBytesMax, "TimerRoundsMax": TimerRoundsMax, "ModuleBytesMax": ModuleBytesMax, "MemoryBytesMax": MemoryBytesMax,
		"MemoryBytesMaxPython": MemoryBytesMaxPython, "StackCallsMax": StackCallsMax, "StackBytesMax": StackBytesMax, "TableElementsMax": TableElementsMax,
	}
	file, err := parser.ParseFile(token.NewFileSet(), "abi.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	ast.Inspect(file, func(n ast.Node) bool {
		if spec, ok := n.(*ast.ValueSpec); ok {
			for _, name := range spec.Names {
				if _, listed := limits[name.Name]; !listed && strings.Contains(name.Name, "Max") {
					t.Errorf("%s is not compared with SPEC.md", name.Name)
				}
			}
		}
		return true
	})
	rows := regexp.MustCompile("(?m)^\\| `([A-Z]\\w+)` \\| (\\d+) \\|").FindAllStringSubmatch(readSpec(t), -1)
	for _, row := range rows {
		if value, ok := limits[row[1]]; !ok || strconv.Itoa(value) != row[2] {
			t.Errorf("SPEC.md has %s = %s, the code %d", row[1], row[2], value)
		}
		delete(limits, row[1])
	}
	for name := range limits {
		t.Errorf("SPEC.md does not have %s", name)
	}
}

// TestSpecNumbers looks for the numbers of types, kinds and sections in the text.
func TestSpecNumbers(t *testing.T) {
	text := readSpec(t)
	for s := SectionContext; s <= SectionMerge; s++ {
		if want := s.String() + " " + strconv.Itoa(int(s)); !strings.Contains(text, want) {
			t.Errorf("SPEC.md does not have %q", want)
		}
	}
	for k := KindBatch; k <= KindMigrate; k++ {
		if want := k.String() + " " + strconv.Itoa(int(k)); !strings.Contains(text, want) {
			t.Errorf("SPEC.md does not have %q", want)
		}
	}
	for number, name := range TypeNames {
		if number.Supported() {
			pattern := regexp.MustCompile(`(?m)^\| ([\w, ]+) \| ([\d, ]+) \|`)
			found := false
			for _, row := range pattern.FindAllStringSubmatch(text, -1) {
				for i, n := range strings.Split(row[1], ", ") {
					numbers := strings.Split(row[2], ", ")
					found = found || (n == name && i < len(numbers) && numbers[i] == strconv.Itoa(int(number)))
				}
			}
			if !found {
				t.Errorf("the table of types does not have %s with %d", name, number)
			}
		} else if want := name + " " + strconv.Itoa(int(number)); !strings.Contains(text, want) {
			t.Errorf("SPEC.md does not reserve %q", want)
		}
	}
	for _, name := range []string{ExportMemory, ExportDescribe, ExportOpen, ExportReserve, ExportProcess, MarkerPrefix + "1", ImportModule} {
		if !strings.Contains(text, "`"+name+"`") {
			t.Errorf("SPEC.md does not have %s", name)
		}
	}
}
