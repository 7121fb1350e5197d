package file

import (
	"errors"
	"io/fs"
	"syscall"

	"github.com/tidemill/tidemill/internal/errcode"
)

// Codes of the connector file.
var (
	ErrNoFile   = errcode.New("TM-CONN-101", errcode.Invalid, "No file matches the path of a source")
	ErrRead     = errcode.New("TM-CONN-102", errcode.Environment, "A file or folder cannot be read")
	ErrReplaced = errcode.New("TM-CONN-103", errcode.Failed, "A file that is being read is not what it was")
	ErrWrite    = errcode.New("TM-CONN-104", errcode.Environment, "The output cannot be written")
	ErrOutput   = errcode.New("TM-CONN-105", errcode.Failed, "Output that a checkpoint names is missing or damaged")
	ErrOptions  = errcode.New("TM-CONN-106", errcode.Invalid, "The options of a file source or sink do not fit together")
)

// readError wraps a failure to read.
func readError(err error, doing, path string) error {
	e := ErrRead.Errorf("%s", doing).At("%s", path).Because(err)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return e.Do("check the path; a relative one starts at the folder of job.yaml")
	case errors.Is(err, fs.ErrPermission):
		return e.Do("let this user read it")
	}
	return e
}

// writeError wraps a failure to write. What has been published, and the last checkpoint, are untouched by it.
func writeError(err error, doing, path string) error {
	e := ErrWrite.Errorf("%s", doing).At("%s", path).Because(err)
	switch {
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT), errors.Is(err, syscall.EFBIG):
		return e.Do("make room for files there and run the job again: it goes on from its last checkpoint")
	case errors.Is(err, fs.ErrPermission):
		return e.Do("let this user write there and run the job again")
	}
	return e.Do("mend the cause and run the job again: it goes on from its last checkpoint")
}
