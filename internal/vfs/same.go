package vfs

import (
	"io/fs"
	"os"
)

// SameFile says whether two infos are of one file, and not of two that had the same name one after the other. A file system that
// cannot tell (its infos have no Sys) says yes.
func SameFile(a, b fs.FileInfo) bool {
	if a.Sys() == nil || b.Sys() == nil {
		return true
	}
	return os.SameFile(a, b)
}
