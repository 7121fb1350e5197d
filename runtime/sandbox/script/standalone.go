package script

import (
	"encoding/binary"
	"slices"

	"github.com/tidemill/tidemill/abi"
	"github.com/tidemill/tidemill/runtime/sandbox/wasm"
)

// codeGlobal is the base's export that says where its code cell is: two words, address and length of an archive in its memory.
const codeGlobal = "tidemill_code"

const pageBytes = 1 << 16

// Standalone joins a base and the code for it into one module that needs no host with the base. The archive lies behind the base's
// initial memory, and the code cell leads to it.
func Standalone(base []byte, m *Module) ([]byte, error) {
	b, err := wasm.Decode(base)
	if err != nil {
		return nil, ErrBroken.Errorf("the interpreter cannot be read").Because(err)
	}
	cell, err := codeCell(b)
	if err != nil {
		return nil, err
	}
	memory := b.Memories[0]
	at := uint64(memory.Min) * pageBytes
	memory.Min += uint32((len(m.Code) + pageBytes - 1) / pageBytes)
	if memory.HasMax && memory.Min > memory.Max || at+uint64(len(m.Code)) > abi.MemoryBytesMaxPython {
		return nil, ErrArchive.Errorf("the interpreter's memory has no room for %d bytes of sources", len(m.Code))
	}
	word := binary.LittleEndian.AppendUint32(binary.LittleEndian.AppendUint32(nil, uint32(at)), uint32(len(m.Code)))
	added := append(segment(nil, uint32(at), m.Code), segment(nil, cell, word)...)

	out := append(make([]byte, 0, len(base)+len(m.Code)+len(m.Describe)+256), header...)
	for _, s := range b.Sections {
		body := b.Bytes(s.Body)
		switch s.ID {
		case wasm.CustomSection:
			out = appendCustom(out, s.Name, body)
			continue
		case wasm.MemorySection:
			body = memorySection(memory)
		case wasm.DataCountSection:
			body = wasm.AppendU32(nil, uint32(len(b.Data)+2))
		case wasm.DataSection:
			_, n := binary.Uvarint(body) // the number of segments, which Decode has read
			body = slices.Concat(wasm.AppendU32(nil, uint32(len(b.Data)+2)), body[n:], added)
		}
		out = wasm.AppendSection(out, s.ID, body)
	}
	out = appendCustom(out, DescribeSection, m.Describe)
	if len(out) > abi.ModuleBytesMax {
		return nil, ErrArchive.Errorf("the module has %d bytes, at most %d are allowed", len(out), abi.ModuleBytesMax)
	}
	return out, nil
}

func codeCell(b *wasm.Module) (address uint32, err error) {
	for _, e := range b.Exports {
		if e.Name != codeGlobal || e.Kind != wasm.ExternGlobal || int(e.Index) < b.ImportedGlobals {
			continue
		}
		g := b.Globals[int(e.Index)-b.ImportedGlobals]
		if g.Init.Op == wasm.OpI32Const && !g.Mutable && len(b.Data) > 0 && len(b.Memories) == 1 {
			return g.Init.Imm, nil
		}
	}
	return 0, ErrBroken.Errorf("the interpreter does not say by %q where code can be put", codeGlobal)
}

func segment(out []byte, at uint32, content []byte) []byte {
	out = wasm.AppendS64(append(out, 0, byte(wasm.OpI32Const)), int64(int32(at)))
	out = wasm.AppendU32(append(out, byte(wasm.OpEnd)), uint32(len(content)))
	return append(out, content...)
}

func memorySection(l wasm.Limits) []byte {
	if l.HasMax {
		return wasm.AppendU32(wasm.AppendU32([]byte{1, 1}, l.Min), l.Max)
	}
	return wasm.AppendU32([]byte{1, 0}, l.Min)
}
