package abi

import "encoding/binary"

// FaultCell is what a guest was doing when it died: the item under way, a message and a place in its source.
type FaultCell struct {
	Item    uint32 // ItemNone where none was under way
	Message string
	Place   string
}

// ReadFaultCell reads the fault cell at an address of a dead guest's memory. It reports false where the cell itself is out of
// bounds; texts are cut to ErrorMessageBytes and left out where they are out of bounds. Nothing in it is trusted.
func ReadFaultCell(memory []byte, address uint32) (FaultCell, bool) {
	if address == 0 || uint64(address)+FaultCellSize > uint64(len(memory)) {
		return FaultCell{}, false
	}
	b := memory[address : address+FaultCellSize]
	return FaultCell{
		Item:    binary.LittleEndian.Uint32(b),
		Message: faultText(memory, binary.LittleEndian.Uint32(b[4:]), binary.LittleEndian.Uint32(b[8:])),
		Place:   faultText(memory, binary.LittleEndian.Uint32(b[12:]), binary.LittleEndian.Uint32(b[16:])),
	}, true
}

func faultText(memory []byte, at, n uint32) string {
	n = min(n, ErrorMessageBytes)
	if n == 0 || uint64(at)+uint64(n) > uint64(len(memory)) {
		return ""
	}
	return CleanText(memory[at : at+n])
}
