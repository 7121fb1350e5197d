//go:build unix && !linux

package wazerovm

import "os"

// namelessFile makes a file on disk that no folder holds.
func namelessFile() (*os.File, error) {
	f, err := os.CreateTemp("", "tidemill-image-")
	if err != nil {
		return nil, err
	}
	if err := os.Remove(f.Name()); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// seal does nothing: without a name nobody else reaches the file.
func seal(*os.File) error { return nil }
