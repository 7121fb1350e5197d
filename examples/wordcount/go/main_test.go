package main

import (
	"bufio"
	"encoding/json"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/tidemill/tidemill/sdk-go/operatortest"
)

type counted struct {
	Word  string
	Count int64
}

// TestTheBook counts the words of the book, line by line through both operators, and compares the counts with the script's.
func TestTheBook(t *testing.T) {
	splits := operatortest.New(t, "split", operatortest.Config{Inputs: map[string]any{"in": line{}}})
	counts := operatortest.New(t, "count", operatortest.Config{Inputs: map[string]any{"in": word{}}, Key: []string{"word"}})
	text, err := os.ReadFile("../testdata/opticks.txt")
	if err != nil {
		t.Fatal(err)
	}
	for batch := range slices.Chunk(strings.Split(string(text), "\n"), 100) {
		for _, l := range batch {
			operatortest.Send(splits, "in", line{l})
		}
		operatortest.Send(counts, "in", operatortest.Rows[word](splits, "out")...)
	}
	if rows := operatortest.Rows[counted](counts, "counts"); len(rows) > 0 {
		t.Errorf("%d words are counted before the end", len(rows))
	}
	counts.End()

	want := expected(t)
	for _, got := range operatortest.Rows[counted](counts, "counts") {
		if want[got.Word] != got.Count {
			t.Errorf("%q is counted %d times, %d were expected", got.Word, got.Count, want[got.Word])
		}
		delete(want, got.Word)
	}
	if len(want) > 0 {
		t.Errorf("not counted: %v", slices.Sorted(maps.Keys(want)))
	}
}

func expected(t *testing.T) map[string]int64 {
	t.Helper()
	file, err := os.Open("../testdata/expected.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	words := map[string]int64{}
	for lines := bufio.NewScanner(file); lines.Scan(); {
		var c counted
		if err := json.Unmarshal(lines.Bytes(), &c); err != nil {
			t.Fatal(err)
		}
		words[c.Word] = c.Count
	}
	return words
}
