package wazerovm

import (
	"bytes"
	"os"
	"slices"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/tidemill/tidemill/runtime/sandbox/wasm"
)

// image is what a memory holds when an instance begins: the data segments of its module, or all of the memory of an instance that
// has started. It lies in a file without a name, of which each memory maps a private view; where the system gives no such file,
// it is copied. It is immutable and shared by all instances.
type image struct {
	parts []part   // in the order of writing; nil where file holds them
	file  *os.File // begins with the byte at start, in whole pages of the system
	start int
	size  int // bytes to map
}

// part is bytes at an address.
type part struct {
	at    int
	bytes []byte
}

// newImage makes an image of a copy of the parts.
func newImage(parts []part) *image {
	if len(parts) == 0 {
		return &image{}
	}
	page := os.Getpagesize()
	start, end := parts[0].at, 0
	for _, p := range parts {
		start, end = min(start, p.at), max(end, p.at+len(p.bytes))
	}
	start, end = start/page*page, (end+page-1)/page*page
	file, err := imageFile(parts, start, end-start)
	if err != nil {
		return copiedImage(parts)
	}
	return &image{file: file, start: start, size: end - start}
}

// copiedImage is an image without a file: each memory pays with a copy.
func copiedImage(parts []part) *image {
	img := &image{parts: slices.Clone(parts)}
	for i := range img.parts {
		img.parts[i].bytes = bytes.Clone(img.parts[i].bytes)
	}
	return img
}

// imageFile writes parts to a file without a name that nobody can change any more.
func imageFile(parts []part, start, size int) (*os.File, error) {
	file, err := namelessFile()
	if err != nil {
		return nil, err
	}
	err = file.Truncate(int64(size))
	for _, p := range parts {
		if err == nil {
			_, err = file.WriteAt(p.bytes, int64(p.at-start))
		}
	}
	if err == nil {
		err = seal(file)
	}
	if err != nil {
		file.Close()
		return nil, err
	}
	return file, nil
}

// copyTo fills a fresh memory, which is as large as the image at least.
func (img *image) copyTo(memory []byte) error {
	if img.file == nil {
		for _, p := range img.parts {
			copy(memory[p.at:], p.bytes)
		}
		return nil
	}
	// Nothing but the mapping itself keeps the slice's bounds: checked here.
	view := memory[img.start : img.start+img.size]
	_, err := unix.MmapPtr(int(img.file.Fd()), 0, unsafe.Pointer(&view[0]), uintptr(img.size), unix.PROT_READ|unix.PROT_WRITE,
		unix.MAP_PRIVATE|unix.MAP_FIXED)
	return err
}

func (img *image) close() error {
	if img.file == nil {
		return nil
	}
	return img.file.Close()
}

// zeros is a page's worth of them.
var zeros [4096]byte

// partsOf are the parts of a memory that are not zero, in whole pages. They alias it.
func partsOf(memory []byte) (parts []part) {
	for at := 0; at < len(memory); at += len(zeros) {
		page := memory[at : at+len(zeros)]
		if bytes.Equal(page, zeros[:]) {
			continue
		}
		if n := len(parts); n > 0 && parts[n-1].at+len(parts[n-1].bytes) == at {
			parts[n-1].bytes = memory[parts[n-1].at : at+len(zeros)]
			continue
		}
		parts = append(parts, part{at, page})
	}
	return parts
}

// withoutData splits a metered module into one without data segments and what they write. Where code names segments, or where
// they are not all written at a constant place when an instance is made, they stay in the module.
func withoutData(metered []byte) (code []byte, data []part) {
	sections, err := wasm.Sections(metered)
	if err != nil {
		return metered, nil // the engine says what is wrong
	}
	found := -1
	for i, s := range sections {
		switch s.ID {
		case wasm.DataCountSection:
			return metered, nil // some code names a segment
		case wasm.DataSection:
			found = i
		}
	}
	if found < 0 {
		return metered, nil
	}
	segments, err := wasm.DataSegments(metered, sections[found])
	if err != nil {
		return metered, nil
	}
	for _, s := range segments {
		if !s.Active || s.Place.Op != wasm.OpI32Const {
			return metered, nil
		}
		data = append(data, part{int(s.Place.Imm), metered[s.Init.Start:s.Init.End]})
	}
	// A section begins where the one before it ends.
	from := sections[found-1].Body.End
	code = append(make([]byte, 0, len(metered)-(sections[found].Body.End-from)), metered[:from]...)
	return append(code, metered[sections[found].Body.End:]...), data
}
