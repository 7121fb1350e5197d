package badgerdb

import (
	"encoding/binary"
	"errors"
	"math"
	"sync/atomic"

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/options"

	"github.com/tidemill/tidemill/internal/vfs"
	"github.com/tidemill/tidemill/runtime/state"
	"github.com/tidemill/tidemill/runtime/state/hot"
)

const (
	memTableBytes = 8 << 20
	valueLogBytes = 16 << 20 // only rows of more than 1 MiB go there
	keyMax        = 60_000
	vlogRewrite   = 0.5 // a value log file is rewritten when half of it is garbage
	spaceSize     = 2
)

// Factory makes back-ends. Options.Dir is theirs alone: whatever is in it is removed.
type Factory struct{}

// New implements state.Factory.
func (Factory) New(o state.Options) (state.Backend, error) {
	s, err := open(o.Dir)
	if err != nil {
		return nil, err
	}
	return hot.New(o, s), nil
}

// store implements table.Store.
type store struct {
	dir string
	db  *badger.DB

	// The owner's.
	txn   *badger.Txn // sees what is committed at the time of each read
	key   []byte
	row   []byte
	iters [2]*badger.Iterator // ascending, descending; open from the first Scan to Rest
	reads atomic.Int64

	// The writer's.
	version uint64
	puts    *batch
	deletes *batch
	written int64
	put     int    // entries put since the last Commit
	added   int    // entries that the last Commit put
	hand    []byte // the place at which the next Sweep goes on
	bytes   atomic.Int64
	swept   atomic.Int64
}

func open(dir string) (*store, error) {
	if err := errors.Join(vfs.Disk.RemoveAll(dir), vfs.Disk.MkdirAll(dir)); err != nil {
		return nil, failed(dir, "making the folder", err)
	}
	o := badger.DefaultOptions(dir).
		WithLogger(nil).WithMetricsEnabled(false).WithDetectConflicts(false).WithSyncWrites(false).
		WithMemTableSize(memTableBytes).WithNumMemtables(2).WithNumLevelZeroTables(4).WithNumLevelZeroTablesStall(10).
		WithNumCompactors(2).WithNumGoroutines(1).
		WithCompression(options.None).WithBlockCacheSize(0).WithIndexCacheSize(0).
		WithValueLogFileSize(valueLogBytes).WithNumVersionsToKeep(1)
	db, err := badger.OpenManaged(o)
	if err != nil {
		return nil, failed(dir, "opening Badger", err)
	}
	return &store{dir: dir, db: db, txn: db.NewTransactionAt(math.MaxUint64, false), version: 2}, nil
}

func failed(dir, doing string, err error) error {
	return state.CodeStore.Errorf("%s failed", doing).At("%s", dir).Because(err).
		Do("look at the disk's space and permissions, or keep the state in memory (state: memory)")
}

// path appends the place of an entry to dst.
func path(dst []byte, space int, key, sub []byte) []byte {
	dst = binary.BigEndian.AppendUint16(dst, uint16(space))
	return append(append(dst, key...), sub...)
}

// Get implements table.Store.
func (s *store) Get(space int, key, sub []byte) ([]byte, bool, error) {
	s.reads.Add(1)
	s.key = path(s.key[:0], space, key, sub)
	item, err := s.txn.Get(s.key)
	if errors.Is(err, badger.ErrKeyNotFound) {
		return nil, false, nil
	}
	if err == nil {
		err = item.Value(func(v []byte) error {
			_, row := split(v)
			s.row = append(s.row[:0], row...)
			return nil
		})
	}
	if err != nil {
		return nil, false, failed(s.dir, "reading a cell", err)
	}
	return s.row, true, nil
}

// split parts a stored value in the length of the key and the row.
func split(v []byte) (keyLen int, row []byte) {
	n, k := binary.Uvarint(v)
	return int(n), v[k:]
}

// Scan implements table.Store.
func (s *store) Scan(space int, key, low, high []byte, descending bool, visit func(sub, row []byte) bool) error {
	s.reads.Add(1)
	side := 0
	if descending {
		side = 1
	}
	if s.iters[side] == nil {
		s.iters[side] = s.txn.NewIterator(badger.IteratorOptions{Reverse: descending})
	}
	it := s.iters[side]
	s.key = path(s.key[:0], space, key, nil)
	prefix := len(s.key)
	switch {
	case !descending:
		it.Seek(append(s.key, low...))
	case high == nil:
		it.Seek(append(s.key, 0xff)) // no sub begins so: map keys begin with their null tag, sequences are small
	default:
		it.Seek(append(s.key, high...))
	}
	for ; it.ValidForPrefix(s.key[:prefix]); it.Next() {
		item := it.Item()
		sub := item.Key()[prefix:]
		if descending {
			if high != nil && string(sub) >= string(high) {
				continue
			}
			if low != nil && string(sub) < string(low) {
				break
			}
		} else if high != nil && string(sub) >= string(high) {
			break
		}
		more := true
		if err := item.Value(func(v []byte) error {
			_, row := split(v)
			more = visit(sub, row)
			return nil
		}); err != nil {
			return failed(s.dir, "reading a cell", err)
		}
		if !more {
			break
		}
	}
	return nil
}

// Rest implements table.Store.
func (s *store) Rest() {
	for i, it := range s.iters {
		if it != nil {
			it.Close()
			s.iters[i] = nil
		}
	}
}

// All implements table.Store.
func (s *store) All(space int, visit func(key, sub, row []byte) error) error {
	txn := s.db.NewTransactionAt(math.MaxUint64, false)
	defer txn.Discard()
	prefix := path(nil, space, nil, nil)
	it := txn.NewIterator(badger.IteratorOptions{Prefix: prefix})
	defer it.Close()
	for it.Rewind(); it.Valid(); it.Next() {
		item := it.Item()
		var stop error
		if err := item.Value(func(v []byte) error {
			keyLen, row := split(v)
			key := item.Key()[spaceSize:]
			stop = visit(key[:keyLen], key[keyLen:], row)
			return nil
		}); err != nil {
			return failed(s.dir, "reading all cells", err)
		}
		if stop != nil {
			return stop
		}
	}
	return nil
}

// KeyMax implements table.Store.
func (s *store) KeyMax() int { return keyMax }

// Bytes implements table.Store: the tables on disk, and at most one memtable.
func (s *store) Bytes() int64 { return s.bytes.Load() }

// Reads implements table.Store.
func (s *store) Reads() int64 { return s.reads.Load() }

// Swept implements table.Store.
func (s *store) Swept() int64 { return s.swept.Load() }

// Close implements table.Store.
func (s *store) Close() error {
	s.Rest()
	s.txn.Discard()
	s.cancel()
	if err := errors.Join(s.db.Close(), vfs.Disk.RemoveAll(s.dir)); err != nil {
		return failed(s.dir, "closing Badger", err)
	}
	return nil
}
