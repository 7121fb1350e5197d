package demo

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"sort"
	"strings"
)

// rows are the rows of one sink, each in a form in which equal rows are equal texts, sorted; equal rows stay several.
type rows []string

// canonical writes a JSON object with sorted names and numbers as they were written.
func canonical(line []byte) (string, error) {
	d := json.NewDecoder(bytes.NewReader(line))
	d.UseNumber()
	var object map[string]any
	if err := d.Decode(&object); err != nil {
		return "", err
	}
	if _, err := d.Token(); err != io.EOF {
		return "", fmt.Errorf("something follows the object")
	}
	text, err := json.Marshal(object)
	return string(text), err
}

// readRows reads all files of a folder whose names match a pattern.
func readRows(folder fs.FS, pattern string) (rows, error) {
	names, err := fs.Glob(folder, pattern)
	if err != nil {
		return nil, err
	}
	var all rows
	for _, name := range names {
		f, err := folder.Open(name)
		if err != nil {
			return nil, err
		}
		all, err = appendRows(all, f, name)
		if closing := f.Close(); err == nil {
			err = closing
		}
		if err != nil {
			return nil, err
		}
	}
	sort.Strings(all)
	return all, nil
}

func appendRows(to rows, from io.Reader, name string) (rows, error) {
	lines := bufio.NewScanner(from)
	lines.Buffer(nil, 1<<20)
	for n := 1; lines.Scan(); n++ {
		row, err := canonical(lines.Bytes())
		if err != nil {
			return nil, fmt.Errorf("%s:%d is no JSON object: %w", name, n, err)
		}
		to = append(to, row)
	}
	return to, lines.Err()
}

// difference compares sorted rows and returns those that one side has more of.
func difference(got, want rows) (missing, extra rows) {
	i, j := 0, 0
	for i < len(got) || j < len(want) {
		switch {
		case j == len(want) || i < len(got) && got[i] < want[j]:
			extra = append(extra, got[i])
			i++
		case i == len(got) || got[i] > want[j]:
			missing = append(missing, want[j])
			j++
		default:
			i, j = i+1, j+1
		}
	}
	return missing, extra
}

// compare says how rows differ from the expected ones; nil where they are equal, row by row.
func compare(sink string, got, want rows) error {
	missing, extra := difference(got, want)
	if len(missing)+len(extra) == 0 {
		return nil
	}
	var says []string
	if len(missing) > 0 {
		says = append(says, fmt.Sprintf("%d missing, the first %s", len(missing), missing[0]))
	}
	if len(extra) > 0 {
		says = append(says, fmt.Sprintf("%d too many, the first %s", len(extra), extra[0]))
	}
	return errDiffers.Errorf("sink %s has %d rows of the %d expected: %s", sink, len(got), len(want), strings.Join(says, "; "))
}
