package build

import (
	"archive/zip"
	"bytes"
	_ "embed"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"time"
)

//go:generate go run ./archive

// sdkGo is the SDK's sources. A module of its own cannot be embedded as files: go:embed stops at a go.mod.
//
//go:embed sdk-go.zip
var sdkGo []byte

// PackSDK packs the sources of an SDK: all Go files but tests, and go.mod. Equal sources give equal bytes.
func PackSDK(dir string) ([]byte, error) {
	var files []string
	err := filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && d.Name() == "testdata" {
			return filepath.SkipDir
		}
		if strings.HasSuffix(p, ".go") && !strings.HasSuffix(p, "_test.go") || d.Name() == "go.mod" {
			files = append(files, p)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	sort.Strings(files)
	var packed bytes.Buffer
	z := zip.NewWriter(&packed)
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		rel, err := filepath.Rel(dir, file)
		if err != nil {
			return nil, err
		}
		w, err := z.CreateHeader(&zip.FileHeader{Name: filepath.ToSlash(rel), Method: zip.Deflate, Modified: time.Unix(1_700_000_000, 0).UTC()})
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

// unpackSDK writes the SDK's sources below a folder.
func unpackSDK(to string) error {
	z, err := zip.NewReader(bytes.NewReader(sdkGo), int64(len(sdkGo)))
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
