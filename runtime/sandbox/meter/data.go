package meter

import (
	"cmp"
	"slices"

	"github.com/tidemill/tidemill/runtime/sandbox/wasm"
)

// gapMax is how many zero bytes may fill the gap between two joined segments. Go's linker leaves out runs of 8 zeros or more.
const gapMax = 32

// run is a row of data segments that become one.
type run struct {
	place uint32
	parts []wasm.Span
	gaps  []uint32 // zero bytes before each part
	end   uint64   // address behind the last part
}

// joined are the data segments, those joined that lie close to each other in fresh memory. Go's linker writes tens of thousands
// of small ones, and making an instance takes time by their number: 5 ms for 38,000. It returns nil where joining could be
// noticed: where code names segments, where one might not fit, or overlaps another, or where memory is another module's.
func (r *rewriter) joined() []run {
	if r.namesData || r.m.ImportedMemories > 0 || len(r.m.Memories) != 1 {
		return nil
	}
	size := uint64(r.m.Memories[0].Min) << 16
	sorted := slices.Clone(r.m.Data)
	slices.SortStableFunc(sorted, func(a, b wasm.Data) int { return cmp.Compare(a.Place.Imm, b.Place.Imm) })
	var runs []run
	for _, d := range sorted {
		place, length := uint64(d.Place.Imm), uint64(d.Init.End-d.Init.Start)
		if !d.Active || d.Place.Op != wasm.OpI32Const || place+length > size {
			return nil
		}
		if n := len(runs); n > 0 {
			last := &runs[n-1]
			if place < last.end {
				return nil // the order of writing counts
			}
			if gap := place - last.end; gap <= gapMax {
				last.parts, last.gaps = append(last.parts, d.Init), append(last.gaps, uint32(gap))
				last.end = place + length
				continue
			}
		}
		runs = append(runs, run{place: d.Place.Imm, parts: []wasm.Span{d.Init}, gaps: []uint32{0}, end: place + length})
	}
	return runs
}

func (r *rewriter) dataSection(runs []run) []byte {
	out := wasm.AppendU32(nil, uint32(len(runs)))
	for _, run := range runs {
		out = wasm.AppendS64(append(out, 0, byte(wasm.OpI32Const)), int64(int32(run.place)))
		out = wasm.AppendU32(append(out, byte(wasm.OpEnd)), uint32(run.end-uint64(run.place)))
		for i, part := range run.parts {
			out = append(out, make([]byte, run.gaps[i])...)
			out = append(out, r.m.Bytes(part)...)
		}
	}
	return out
}
