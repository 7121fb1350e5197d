package file

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// A file of a sink has an identity, (subtask that began it, seq), which it keeps under all of its names:
//
//	.<sink>-<subtask>-<seq>.<ext>.open                      being written, or waiting for its commit
//	<sink>-<checkpoint>-<subtask>-<seq>.<ext>               published
//	.<sink>-<checkpoint>-<subtask>-<seq>.<ext>.taken-back   was published, by a checkpoint that a restore went behind
//
// What follows the sink's name is a fixed number of numeric parts, so sinks called daily and daily-2 can share a folder.
type fileName struct {
	Subtask int    `json:"subtask"`
	Seq     int    `json:"seq"`
	Ext     string `json:"ext"`
}

func (n fileName) open(sink string) string {
	return fmt.Sprintf(".%s-%d-%04d.%s.open", sink, n.Subtask, n.Seq, n.Ext)
}

func (n fileName) published(sink string, checkpoint uint64) string {
	return fmt.Sprintf("%s-%08d-%d-%04d.%s", sink, checkpoint, n.Subtask, n.Seq, n.Ext)
}

func (n fileName) takenBack(sink string, checkpoint uint64) string {
	return "." + n.published(sink, checkpoint) + ".taken-back"
}

// state is which of its names a file has.
type state int

const (
	foreign state = iota // no file of this sink
	open
	published
	takenBack
)

// found is a file of a sink in its folder.
type found struct {
	fileName
	state      state
	checkpoint uint64 // where published or taken back
}

var (
	openPattern      = regexp.MustCompile(`^(\d+)-(\d{4,})\.([a-z0-9]+)\.open$`)
	publishedPattern = regexp.MustCompile(`^(\d{8,})-(\d+)-(\d{4,})\.([a-z0-9]+)$`)
)

// name is how the file is called in the folder.
func (f found) name(sink string) string {
	switch f.state {
	case open:
		return f.open(sink)
	case published:
		return f.published(sink, f.checkpoint)
	}
	return f.takenBack(sink, f.checkpoint)
}

// parseName recognises a file of the sink: one that is called exactly as the sink would call it.
func parseName(sink, name string) found {
	if f := parseParts(sink, name); f.state != foreign && f.name(sink) == name {
		return f
	}
	return found{}
}

func parseParts(sink, name string) found {
	if rest, ok := strings.CutPrefix(name, sink+"-"); ok {
		return parsePublished(rest, published)
	}
	rest, ok := strings.CutPrefix(name, "."+sink+"-")
	if !ok {
		return found{}
	}
	if inner, ok := strings.CutSuffix(rest, ".taken-back"); ok {
		return parsePublished(inner, takenBack)
	}
	m := openPattern.FindStringSubmatch(rest)
	if m == nil {
		return found{}
	}
	return number(found{fileName: fileName{Ext: m[3]}, state: open}, "0", m[1], m[2])
}

func parsePublished(rest string, s state) found {
	m := publishedPattern.FindStringSubmatch(rest)
	if m == nil {
		return found{}
	}
	return number(found{fileName: fileName{Ext: m[4]}, state: s}, m[1], m[2], m[3])
}

func number(f found, checkpoint, subtask, seq string) found {
	var errs [3]error
	f.checkpoint, errs[0] = strconv.ParseUint(checkpoint, 10, 64)
	f.Subtask, errs[1] = strconv.Atoi(subtask)
	f.Seq, errs[2] = strconv.Atoi(seq)
	for _, err := range errs {
		if err != nil {
			return found{}
		}
	}
	return f
}
