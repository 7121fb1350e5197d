package program

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"regexp"
	"strings"
	"testing"
)

// TestCommandsAreThoseOfTheText compares the table of commands in PROGRAM.md with the one here: numbers, names, operands, and where
// commands are passed over.
func TestCommandsAreThoseOfTheText(t *testing.T) {
	text, err := os.ReadFile("../PROGRAM.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := regexp.MustCompile(`(?m)^\| (\d+) (\w+)( \*key\*)?( \*row\*)? \|([^|]*)\|`).FindAllStringSubmatch(string(text), -1)
	if len(rows) != int(ops) {
		t.Fatalf("the text has %d commands, want %d", len(rows), ops)
	}
	operands := map[rune]string{
		'b': "byte", 'n': "number", 'f': "real", 't': "time", 'x': "text", 'w': "word", 'r': "record", 'k': "map key", 'p': "program",
		's': "byte mode", '3': "index of 3", '4': "map", '5': "index of 5", '8': "index of 8",
	}
	for i, row := range rows {
		var want []string
		for _, letter := range shapes[i].operands {
			want = append(want, operands[letter])
		}
		got := strings.TrimSpace(row[5])
		for _, extra := range []string{" tag", ", for mode & 3 >= 2 two map keys"} {
			got = strings.Replace(got, extra, "", 1)
		}
		if row[1] != fmt.Sprint(i) || row[2] != shapes[i].name || got != strings.Join(want, ", ") {
			t.Errorf("command %d: %q %q, want %q %q", i, row[2], got, shapes[i].name, strings.Join(want, ", "))
		}
		if key, inRow := row[3] != "" || row[4] != "", row[4] != ""; key != shapes[i].key || inRow != shapes[i].row {
			t.Errorf("command %s: key %v, row %v in the text", shapes[i].name, key, inRow)
		}
	}
}

// TestCasesKeepTheirBytes: a case that was read and written is the same case, whatever bytes it came from.
func TestCasesKeepTheirBytes(t *testing.T) {
	for seed := range uint64(200) {
		rng := rand.New(rand.NewPCG(seed, 1))
		data := make([]byte, rng.IntN(400))
		for i := range data {
			data[i] = byte(rng.Uint32())
		}
		first := ParseCase(data)
		again := ParseCase(first.Bytes())
		if first.String() != again.String() || !bytes.Equal(first.Bytes(), again.Bytes()) {
			t.Fatalf("seed %d:\n%v\nagain:\n%v", seed, &first, &again)
		}
		drawn := DrawCase(rng, Drawings[int(seed)%len(Drawings)])
		again = ParseCase(drawn.Bytes())
		if drawn.String() != again.String() {
			t.Fatalf("seed %d, drawn:\n%v\nagain:\n%v", seed, &drawn, &again)
		}
	}
}

// TestShrink looks for a command deep in a case, and finds little else.
func TestShrink(t *testing.T) {
	guilty := func(c *Case) bool {
		return strings.Contains(c.String(), "map_scan") && strings.Contains(c.String(), "checkpoint")
	}
	shrunk := 0
	for seed := range uint64(60) {
		c := DrawCase(rand.New(rand.NewPCG(seed, 2)), Drawing{Weights: Usual, Steps: 60, Commands: 6})
		if !guilty(&c) {
			continue
		}
		shrunk++
		small := c.Shrink(guilty)
		if text := small.String(); !guilty(&small) || strings.Count(text, "\n") != 2 || strings.Contains(text, ";") || strings.Contains(text, "{map_scan") {
			t.Errorf("seed %d shrank to\n%s", seed, text)
		}
	}
	if shrunk < 10 {
		t.Errorf("only %d cases were shrunk", shrunk)
	}
}
