package checkpoint

import (
	"errors"
	"io/fs"
	"syscall"

	"github.com/tidemill/tidemill/internal/errcode"
	"github.com/tidemill/tidemill/runtime/checkpoint/segment"
)

// The codes of this package and of its stores.
var (
	ErrWrite    = errcode.New("TM-CKPT-001", errcode.Environment, "a checkpoint cannot be written")
	ErrRead     = errcode.New("TM-CKPT-002", errcode.Environment, "a checkpoint cannot be read")
	ErrInUse    = errcode.New("TM-CKPT-003", errcode.Environment, "another process uses the checkpoint store")
	ErrDamaged  = segment.ErrDamaged
	ErrNewer    = segment.ErrNewer
	ErrOtherJob = errcode.New("TM-CKPT-006", errcode.Invalid, "the checkpoint is of another job, plan or max parallelism")
	ErrNoneLeft = errcode.New("TM-CKPT-007", errcode.Environment, "no checkpoint of the store is whole")
	ErrFailed   = errcode.New("TM-CKPT-008", errcode.Failed, "a checkpoint failed")
	ErrLimit    = segment.ErrLimit
	ErrUnknown  = errcode.New("TM-CKPT-010", errcode.Invalid, "the checkpoint store has nothing of that name")
)

// WriteError codes a failed write to a store, with a hint that fits the cause. An error that is coded already is returned as it is.
func WriteError(place string, err error) error {
	if err == nil || errcode.Of(err) != nil {
		return err
	}
	return ErrWrite.Errorf("writing the checkpoint failed").At("%s", place).Because(err).Do("%s", remedy(err))
}

// ReadError is WriteError for reads.
func ReadError(place string, err error) error {
	if err == nil || errcode.Of(err) != nil {
		return err
	}
	return ErrRead.Errorf("reading the checkpoint failed").At("%s", place).Because(err).Do("%s", remedy(err))
}

func remedy(err error) string {
	switch {
	case errors.Is(err, syscall.ENOSPC):
		return "free space on the disk or point checkpoint.store elsewhere; the last complete checkpoint is unharmed, run again to go on from it"
	case errors.Is(err, syscall.EDQUOT), errors.Is(err, syscall.EFBIG):
		return "raise the quota or file-size limit (ulimit -f); the last complete checkpoint is unharmed, run again to go on from it"
	case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.EROFS):
		return "give the user of this process write permission on the checkpoint store, or set checkpoint.store to another folder"
	case errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE):
		return "raise the limit of open files (ulimit -n)"
	case errors.Is(err, fs.ErrNotExist):
		return "check checkpoint.store: the folder or file is not there"
	}
	return "check the disk and the path in checkpoint.store; the last complete checkpoint is unharmed, run again to go on from it"
}
