package wasm

// FuncName is one entry of the name section.
type FuncName struct {
	Index uint32
	Name  string
}

// FuncNames reads the function names of the name section, in file order. A name section is a hint that the specification forbids
// to refuse a module for: reading stops, without an error, where it is malformed or names a function that does not exist.
func (m *Module) FuncNames() []FuncName {
	var list []FuncName
	for _, s := range m.Sections {
		if s.ID == CustomSection && s.Name == "name" {
			_ = m.readNames(s.Body, &list) // what was read before an error counts
			break                          // only the first counts
		}
	}
	return list
}

func (m *Module) readNames(body Span, list *[]FuncName) (err error) {
	defer catch(&err)
	r := &reader{b: m.Binary, pos: body.Start, end: body.End, section: "name", fn: NoFunc}
	for r.more() {
		id, size := r.u8(), r.u32()
		at := r.pos
		r.bytes(size)
		if id != 1 { // function names; 0 is the module's, 2 those of locals
			continue
		}
		sub := &reader{b: m.Binary, pos: at, end: r.pos, section: "name", fn: NoFunc}
		for range sub.count(2, "names") {
			i := sub.index(len(m.FuncTypes), "function")
			*list = append(*list, FuncName{Index: i, Name: sub.name()})
		}
	}
	return nil
}
