package vfs

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// ErrLocked says that another holder, usually another process, has the lock.
var ErrLocked = errors.New("locked by another process")

// LockedError is an ErrLocked that knows the process which has the lock.
type LockedError struct{ PID int }

func (e *LockedError) Error() string { return fmt.Sprintf("locked by process %d", e.PID) }

// Unwrap makes it an ErrLocked.
func (e *LockedError) Unwrap() error { return ErrLocked }

func (disk) Lock(name string) (io.Closer, error) {
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		defer f.Close()
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, err
		}
		if pid := lockHolder(f); pid > 0 {
			return nil, &LockedError{pid}
		}
		return nil, ErrLocked
	}
	return f, nil
}

// lockHolder is the process that holds the lock of a file, by the list of locks that Linux keeps; 0 where it is not known.
func lockHolder(f *os.File) int {
	info, err := f.Stat()
	if err != nil {
		return 0
	}
	file, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 0
	}
	locks, err := os.Open("/proc/locks")
	if err != nil {
		return 0
	}
	defer locks.Close()
	// "2: FLOCK  ADVISORY  WRITE 1234 fd:01:5678 0 EOF", the place being the device, whose number file systems show in more ways than
	// one, and the inode.
	inode := ":" + strconv.FormatUint(file.Ino, 10)
	holder := 0
	for lines := bufio.NewScanner(locks); lines.Scan(); {
		fields := strings.Fields(lines.Text())
		if len(fields) < 6 || fields[1] != "FLOCK" || !strings.HasSuffix(fields[5], inode) {
			continue
		}
		pid, err := strconv.Atoi(fields[4])
		if err != nil || pid <= 0 || holder != 0 { // two files have that inode, on two devices
			return 0
		}
		holder = pid
	}
	return holder
}
