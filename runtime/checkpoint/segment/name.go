package segment

import (
	"fmt"

	"github.com/zeebo/xxh3"
)

// Of says what a segment holds; it is also the meta block at rest.
type Of struct {
	Checkpoint     uint64 `json:"checkpoint"`
	Node           string `json:"node"`
	Groups         [2]int `json:"groups"` // key groups [first, end)
	MaxParallelism int    `json:"max_parallelism"`
	Base           bool   `json:"base"`
}

// Ref names a finished segment.
type Ref struct {
	File       string `json:"file"`
	Node       string `json:"node"`
	Groups     [2]int `json:"groups"` // key groups [first, end)
	Checkpoint uint64 `json:"checkpoint"`
	Base       bool   `json:"base"`
	Bytes      int64  `json:"bytes"`
	Entries    int64  `json:"entries"`
	XXH3       string `json:"xxh3"` // XXH3-128 of the whole file, hex
}

// Prefix begins the names of segment files.
const Prefix = "seg-"

// nodeBytesMax is how much of a node's name a file name shows; a longer name is replaced by its hash.
const nodeBytesMax = 64

// Name is the file name of a segment. Names of nodes that could collide or not be written in a file system that ignores case are
// replaced by their hash.
func Name(checkpoint uint64, node string, groups [2]int) string {
	plain := len(node) <= nodeBytesMax && node != ""
	for i := 0; i < len(node) && plain; i++ {
		c := node[i]
		plain = c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '_' || c == '-'
	}
	if !plain {
		sum := xxh3.HashString128(node).Bytes()
		node = fmt.Sprintf("~%x", sum)
	}
	return fmt.Sprintf("%s%08d-%s-%d-%d", Prefix, checkpoint, node, groups[0], groups[1])
}
