package wazerovm

import (
	"os"

	"golang.org/x/sys/unix"
)

// namelessFile makes a file in memory.
func namelessFile() (*os.File, error) {
	fd, err := unix.MemfdCreate("tidemill-image", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), "tidemill-image"), nil
}

// seal forbids every change: a page that vanished would take the process with it.
func seal(f *os.File) error {
	_, err := unix.FcntlInt(f.Fd(), unix.F_ADD_SEALS, unix.F_SEAL_SEAL|unix.F_SEAL_SHRINK|unix.F_SEAL_GROW|unix.F_SEAL_WRITE)
	return err
}
