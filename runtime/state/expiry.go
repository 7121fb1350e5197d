package state

import "encoding/binary"

// ExpiryLen is by how much an expiry makes a row longer. It stands at the end, so that who has a row and no codec can read it, and
// a row's fields are where they are without.
const ExpiryLen = 8

// AppendExpiry gives a row, which has none, an expiry: the processing time in us from which on it is absent.
func AppendExpiry(row []byte, us int64) []byte {
	row[0] |= rowExpiry
	return binary.LittleEndian.AppendUint64(row, uint64(us))
}

// PutExpiringWord is PutWord for a row with an expiry: the first WordLen+ExpiryLen bytes of dst.
func PutExpiringWord(dst []byte, v uint64, us int64) {
	PutWord(dst, v)
	dst[0] = rowExpiry
	binary.LittleEndian.PutUint64(dst[WordLen:], uint64(us))
}

// Expiry returns the expiry of a row at rest in us of processing time; false where it has none. Of bytes that are no row it says
// anything, and does not fail.
func Expiry(row []byte) (us int64, ok bool) {
	if len(row) < rowHeader+ExpiryLen || row[0]&rowExpiry == 0 {
		return 0, false
	}
	return int64(binary.LittleEndian.Uint64(row[len(row)-ExpiryLen:])), true
}
