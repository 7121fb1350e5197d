package badgerdb

import (
	"encoding/binary"
	"errors"
	"math"

	"github.com/dgraph-io/badger/v4"
)

// slabBytes is the size of the memory that entries are copied to: Badger keeps them until they are committed.
const slabBytes = 1 << 20

// batch is a WriteBatch of one version.
type batch struct {
	w    *badger.WriteBatch
	slab []byte
}

// take returns a piece of memory of length n.
func (b *batch) take(n int) []byte {
	if len(b.slab) < n {
		b.slab = make([]byte, max(n, slabBytes))
	}
	p := b.slab[:n:n]
	b.slab = b.slab[n:]
	return p
}

// Put implements table.Store.
func (s *store) Put(space int, key, sub, row []byte) error {
	if s.puts == nil {
		s.puts = &batch{w: s.db.NewWriteBatchAt(s.version + 1)}
	}
	var length [binary.MaxVarintLen64]byte
	n := binary.PutUvarint(length[:], uint64(len(key)))
	k := path(s.puts.take(spaceSize + len(key) + len(sub))[:0], space, key, sub)
	v := append(append(s.puts.take(n + len(row))[:0], length[:n]...), row...)
	s.written += int64(len(k) + len(v))
	s.put++
	if err := s.puts.w.Set(k, v); err != nil {
		return failed(s.dir, "writing a cell", err)
	}
	return nil
}

// Delete implements table.Store.
func (s *store) Delete(space int, key, sub []byte) error {
	if s.deletes == nil {
		s.deletes = &batch{w: s.db.NewWriteBatchAt(s.version)}
	}
	k := path(s.deletes.take(spaceSize + len(key) + len(sub))[:0], space, key, sub)
	s.written += int64(len(k))
	if err := s.deletes.w.Delete(k); err != nil {
		return failed(s.dir, "deleting a cell", err)
	}
	return nil
}

// DeleteAll implements table.Store.
func (s *store) DeleteAll(space int, key []byte) error {
	txn := s.db.NewTransactionAt(math.MaxUint64, false)
	defer txn.Discard()
	prefix := path(nil, space, key, nil)
	it := txn.NewIterator(badger.IteratorOptions{Prefix: prefix})
	defer it.Close()
	for it.Rewind(); it.Valid(); it.Next() {
		if err := s.Delete(space, key, it.Item().Key()[len(prefix):]); err != nil {
			return err
		}
	}
	return nil
}

// Commit implements table.Store.
func (s *store) Commit() error {
	for _, b := range []*batch{s.deletes, s.puts} {
		if b == nil {
			continue
		}
		if err := b.w.Flush(); err != nil {
			return failed(s.dir, "committing", err)
		}
	}
	s.deletes, s.puts, s.added, s.put = nil, nil, s.put, 0
	s.db.SetDiscardTs(s.version + 1)
	s.version += 2
	bytes := min(s.written, memTableBytes)
	for _, t := range s.db.Tables() {
		bytes += int64(t.OnDiskSize)
	}
	s.bytes.Store(bytes)
	if err := s.db.RunValueLogGC(vlogRewrite); err != nil && !errors.Is(err, badger.ErrNoRewrite) {
		return failed(s.dir, "rewriting a value log", err)
	}
	return nil
}

// cancel forgets what has not been committed.
func (s *store) cancel() {
	for _, b := range []*batch{s.deletes, s.puts} {
		if b != nil {
			b.w.Cancel()
		}
	}
}
