package badgerdb

import (
	"bytes"
	"encoding/binary"
	"math"
	"slices"

	"github.com/dgraph-io/badger/v4"
)

// A Sweep looks at sweepLeast entries and sweepRatio more for each that was put. So a pass over the store ends before it has grown by
// half its size, and at a store that nothing is put to it still goes on.
const (
	sweepLeast = 4096
	sweepRatio = 2
)

// Sweep implements table.Store.
func (s *store) Sweep(spaces []int, over func(row []byte) bool) error {
	txn := s.db.NewTransactionAt(math.MaxUint64, false)
	defer txn.Discard()
	it := txn.NewIterator(badger.IteratorOptions{})
	defer it.Close()
	start, around := bytes.Clone(s.hand), false
	it.Seek(start)
	for left := sweepLeast + sweepRatio*s.added; left > 0; left-- {
		if !it.Valid() {
			if around || len(start) == 0 {
				break
			}
			around = true
			it.Rewind()
			continue
		}
		item := it.Item()
		place := item.Key()
		if around && bytes.Compare(place, start) >= 0 {
			break
		}
		if space := int(binary.BigEndian.Uint16(place)); !slices.Contains(spaces, space) {
			it.Seek(path(nil, space+1, nil, nil))
			continue
		}
		if err := s.sweepOne(item, over); err != nil {
			return err
		}
		it.Next()
	}
	s.hand = s.hand[:0]
	if it.Valid() {
		s.hand = append(s.hand, it.Item().Key()...)
	}
	return nil
}

// sweepOne deletes an entry that has expired.
func (s *store) sweepOne(item *badger.Item, over func(row []byte) bool) error {
	gone := false
	if err := item.Value(func(v []byte) error {
		_, row := split(v)
		gone = over(row)
		return nil
	}); err != nil {
		return failed(s.dir, "reading a cell", err)
	}
	if !gone {
		return nil
	}
	s.swept.Add(1)
	return s.Delete(int(binary.BigEndian.Uint16(item.Key())), item.Key()[spaceSize:], nil)
}
