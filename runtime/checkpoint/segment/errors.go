package segment

import (
	"fmt"

	"github.com/tidemill/tidemill/internal/errcode"
)

// The codes of files at rest; package checkpoint uses them for manifests, too.
var (
	ErrDamaged = errcode.New("TM-CKPT-004", errcode.Environment, "a file of the checkpoint store is damaged")
	ErrNewer   = errcode.New("TM-CKPT-005", errcode.Invalid, "the checkpoint store was written by a newer version")
	ErrLimit   = errcode.New("TM-CKPT-009", errcode.Failed, "a checkpoint exceeds a limit")
)

// Damage is one thing that is wrong with one file of a store. As an error it is the cause of an ErrDamaged.
type Damage struct {
	File   string // name in the store
	Offset int64  // first byte of the smallest checked part that is wrong; -1 where the whole file is meant
	What   string // what is wrong, without a full stop
}

// Error formats as "file, byte N: what".
func (d *Damage) Error() string {
	if d.Offset < 0 {
		return d.File + ": " + d.What
	}
	return fmt.Sprintf("%s, byte %d: %s", d.File, d.Offset, d.What)
}

// Damaged returns an ErrDamaged.
func Damaged(file string, offset int64, format string, args ...any) error {
	d := &Damage{File: file, Offset: offset, What: fmt.Sprintf(format, args...)}
	return ErrDamaged.Errorf("the file is damaged").Because(d).
		Do("`tidemill checkpoint verify` lists every damaged file; `tidemill run` goes on from the newest whole checkpoint")
}

// Newer returns an ErrNewer.
func Newer(file string, version, known int) error {
	return ErrNewer.Errorf("%s has format %d, this build reads up to %d", file, version, known).At("%s", file).
		Do("use the newer tidemill that wrote this store, or another checkpoint.store")
}
