package operatortest

import (
	"strings"
	"testing"

	"github.com/tidemill/tidemill/sdk-go/internal/abi"
)

// TestUnknownSections adds a section that no version of the contract has to a frame: it is passed over, or the frame is refused as
// one that the SDK cannot read where the section must be understood.
func TestUnknownSections(t *testing.T) {
	for _, must := range []uint32{0, abi.FlagMustUnderstand} {
		h := New(t, "alloc-filter", Config{})
		h.sequence++
		r := &running{kind: abi.KindBatch, items: []item{{port: "in", row: values{int64(2)}}}}
		data := h.encode(r)
		sections := little.Uint32(data[12:])
		entry := data[abi.HeaderSize+sections*abi.SectionEntrySize:] // the encoder leaves room for some
		little.PutUint16(entry, 77)
		little.PutUint32(entry[4:], must)
		little.PutUint32(entry[8:], uint32(len(data)))
		little.PutUint32(data[12:], sections+1)
		d := decoder(h.slot.Process(data))
		list := d.sections(abi.KindBatch, h.sequence)
		if len(list) != 1 {
			t.Fatalf("%d sections in the answer", len(list))
		}
		if must == 0 {
			if list[0].id != abi.SectionBatch {
				t.Errorf("the answer has section %d", list[0].id)
			}
			continue
		}
		at := list[0].at
		if list[0].id != abi.SectionError || d.u32(at) != abi.ErrorCodeUnexpected || d.u32(at+4) != abi.ItemNone {
			t.Fatalf("the answer has section %d with code %d and item %d", list[0].id, d.u32(at), d.u32(at+4))
		}
		if message := string(d.bytes(at+abi.ErrorSize, d.u32(at+8))); !strings.Contains(message, "section 77") {
			t.Error(message)
		}
	}
}
