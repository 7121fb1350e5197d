package wasm

// AppendU32 appends v in unsigned LEB128, the shortest form.
func AppendU32(b []byte, v uint32) []byte {
	for v >= 0x80 {
		b = append(b, byte(v)|0x80)
		v >>= 7
	}
	return append(b, byte(v))
}

// AppendS64 appends v in signed LEB128, the shortest form. It serves for the narrower signed types too.
func AppendS64(b []byte, v int64) []byte {
	for {
		c := byte(v & 0x7f)
		v >>= 7
		if (v == 0 && c&0x40 == 0) || (v == -1 && c&0x40 != 0) {
			return append(b, c)
		}
		b = append(b, c|0x80)
	}
}

// AppendName appends a length-prefixed string.
func AppendName(b []byte, s string) []byte { return append(AppendU32(b, uint32(len(s))), s...) }

// AppendSection appends a section: its id, its length and its body.
func AppendSection(b []byte, id SectionID, body []byte) []byte {
	b = AppendU32(append(b, byte(id)), uint32(len(body)))
	return append(b, body...)
}
