package source

import (
	"github.com/tidemill/tidemill/internal/errcode"
)

// The codes of this package.
var (
	ErrNoEventTime = errcode.New("TM-RUN-001", errcode.Invalid, "a record has no event time")
	ErrRead        = errcode.New("TM-RUN-002", errcode.Failed, "a source cannot be read")
)

// readError codes an error of a connector that has no code of its own.
func readError(source, split string, err error) error {
	if errcode.Of(err) != nil {
		return err
	}
	e := ErrRead.Errorf("reading the source failed").Because(err).Do("check that the source is reachable and readable, then run the job again")
	if split == "" {
		return e.At("source %s", source)
	}
	return e.At("source %s, split %s", source, split)
}
