package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"

	"github.com/tidemill/tidemill/runtime/bench/measure"
)

// TestTablesAreFresh compares the page with the results.
func TestTablesAreFresh(t *testing.T) {
	root, err := measure.Root()
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(page)))
	if err != nil {
		t.Fatal(err)
	}
	fresh, err := withTables(root, string(text))
	if err != nil {
		t.Fatal(err)
	}
	if fresh != string(text) {
		t.Errorf("%s is stale: run `go run ./runtime/bench/languages -tables`", page)
	}
}

var item = regexp.MustCompile(`"quantity": (\d+), "price": ([\d.]+)`)

// TestNativeOperators compares the native operators with the same sums made another way: from the columns, with a map.
func TestNativeOperators(t *testing.T) {
	for _, w := range workloads {
		b := w.batch(500)
		s, err := w.native()
		if err != nil {
			t.Fatal(err)
		}
		if err := s.op.Process(0, b); err != nil {
			t.Fatal(err)
		}
		want := 0.0
		spent := map[string]float64{}
		for i := range b.Rows {
			switch w.name {
			case "price":
				want += float64(float64(b.Columns[1].Int(i))*b.Columns[2].Float(i)) + float64(len(b.Columns[0].Bytes(i)))
			case "spend":
				spent[string(b.Columns[0].Bytes(i))] += b.Columns[1].Float(i)
				want += spent[string(b.Columns[0].Bytes(i))]
			case "parse":
				total := 0.0
				for _, m := range item.FindAllStringSubmatch(string(b.Columns[0].Bytes(i)), -1) {
					quantity, _ := strconv.ParseFloat(m[1], 64) // digits
					price, _ := strconv.ParseFloat(m[2], 64)
					total += float64(quantity * price)
				}
				want += total
			}
		}
		if s.sum != want || s.rows != b.Rows {
			t.Errorf("%s: %v of %d rows, want %v of %d", w.name, s.sum, s.rows, want, b.Rows)
		}
	}
}
