package build

import (
	"archive/zip"
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"time"
)

// Archives gives the SDKs of the languages, packed from their folders in the root of the repository, by the name of the file that
// the binary carries. Equal sources give equal bytes.
func Archives(root string) (map[string][]byte, error) {
	archives := map[string][]byte{}
	for _, l := range languages {
		name := path.Base(l.sdk)
		packed, err := pack(filepath.Join(root, name), l.packs, l.leaves)
		if err != nil {
			return nil, err
		}
		archives[name+".zip"] = packed
	}
	return archives, nil
}

// pack packs the sources below a folder.
func pack(dir string, source func(name string) bool, skip []string) ([]byte, error) {
	files, err := filesBelow(dir, source, skip...)
	if err != nil {
		return nil, err
	}
	var packed bytes.Buffer
	z := zip.NewWriter(&packed)
	for _, file := range files {
		text, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(file)))
		if err != nil {
			return nil, err
		}
		w, err := z.CreateHeader(&zip.FileHeader{Name: file, Method: zip.Deflate, Modified: time.Unix(1_700_000_000, 0).UTC()})
		if err != nil {
			return nil, err
		}
		if _, err := w.Write(text); err != nil {
			return nil, err
		}
	}
	if err := z.Close(); err != nil {
		return nil, err
	}
	return packed.Bytes(), nil
}

// unpack writes an archive's files below a folder.
func unpack(archive []byte, to string) error {
	z, err := zip.NewReader(bytes.NewReader(archive), int64(len(archive)))
	if err != nil {
		return fmt.Errorf("the binary's own SDK cannot be read: %w", err)
	}
	for _, f := range z.File {
		if !fs.ValidPath(f.Name) {
			return fmt.Errorf("the binary's own SDK has a file %q", f.Name)
		}
		in, err := f.Open()
		if err != nil {
			return err
		}
		text, err := io.ReadAll(in)
		in.Close()
		if err != nil {
			return err
		}
		if err := writeProjectFile(filepath.Join(to, filepath.FromSlash(f.Name)), text); err != nil {
			return err
		}
	}
	return nil
}
