package segment

import (
	"bytes"
	"encoding/binary"
	"io"
	"testing"
)

// BenchmarkWrite writes a million entries of 9 + 91 bytes, each of a key of its own: ns/op is for all of them.
func BenchmarkWrite(b *testing.B) {
	const entries = 1 << 20
	value := bytes.Repeat([]byte("v"), 91)
	key := []byte{1, 0, 0, 0, 0, 0, 0, 0, 0}
	b.ReportAllocs()
	b.SetBytes(entries * 100)
	for b.Loop() {
		w, err := NewWriter(io.Discard, testOf())
		if err != nil {
			b.Fatal(err)
		}
		if err := w.Begin(testSpaces()[0]); err != nil {
			b.Fatal(err)
		}
		for i := range entries {
			binary.BigEndian.PutUint64(key[1:], uint64(i))
			if err := w.Put(key, nil, value); err != nil {
				b.Fatal(err)
			}
		}
		if _, err := w.Finish(); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkRead reads them back, every byte verified.
func BenchmarkRead(b *testing.B) {
	const entries = 1 << 20
	list := make([]written, entries)
	value := string(bytes.Repeat([]byte("v"), 91))
	for i := range list {
		list[i] = written{space: testSpaces()[0], key: string(binary.BigEndian.AppendUint64([]byte{1}, uint64(i))), value: value}
	}
	content, s := encode(b, testOf(), list)
	b.ReportAllocs()
	b.SetBytes(int64(len(content)))
	for b.Loop() {
		r, err := newReader(s.File, content)
		if err != nil {
			b.Fatal(err)
		}
		r.expect = s
		n := 0
		for {
			if _, err = r.Next(); err != nil {
				break
			}
			n++
		}
		if err != io.EOF || n != entries {
			b.Fatal(n, err)
		}
	}
}
