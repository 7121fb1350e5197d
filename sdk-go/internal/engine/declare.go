package engine

import (
	"errors"
	"reflect"
	"unsafe"

	"github.com/tidemill/tidemill/sdk-go/internal/abi"
	"github.com/tidemill/tidemill/sdk-go/internal/row"
)

// declare makes a slot of a new operator: its parts know it and are in the order of the struct's fields.
func declare(e *Entry) (*Slot, error) {
	s := &Slot{op: e.New()}
	v := reflect.ValueOf(s.op.Parts).Elem()
	if err := s.declareStruct(v.Type(), v.Addr().UnsafePointer()); err != nil {
		return nil, errors.New("operator " + e.Name + ": " + err.Error())
	}
	if len(s.inputs) == 0 {
		return nil, errors.New("operator " + e.Name + " has no input port: its struct needs a field of type operator.In or operator.BatchIn")
	}
	return s, nil
}

func (s *Slot) declareStruct(t reflect.Type, base unsafe.Pointer) error {
	for i := range t.NumField() {
		f := t.Field(i)
		at := unsafe.Add(base, f.Offset)
		var err error
		if name, ok := f.Tag.Lookup("param"); ok {
			err = s.declareParam(name, f, at)
		} else if part := partOf(f.Type, at); part != nil {
			d := Declaration{Doc: f.Tag.Get("doc")}
			d.Name, d.Options = row.Tag(f)
			err = part.Declare(s, d)
		} else if f.Anonymous && f.Type.Kind() == reflect.Struct {
			err = s.declareStruct(f.Type, at)
		}
		if err != nil {
			return errors.New("field " + f.Name + ": " + err.Error())
		}
	}
	return nil
}

// partOf is the part that a field holds as its first field, or nil.
func partOf(t reflect.Type, at unsafe.Pointer) Part {
	if t.Kind() != reflect.Struct || t.NumField() == 0 {
		return nil
	}
	part, _ := reflect.NewAt(t.Field(0).Type, at).Interface().(Part)
	return part
}

// describe is the static description of an entry.
func (s *Slot) describe(e *Entry) abi.Entry {
	d := abi.Entry{Name: e.Name, Kind: abi.EntryOperator, Doc: e.Doc, Inputs: []abi.InputPort{}}
	for _, p := range s.params {
		d.Params = append(d.Params, p.Param)
	}
	for _, in := range s.inputs {
		port := in.Port()
		port.Keyed = s.Keyed()
		d.Inputs = append(d.Inputs, port)
	}
	for _, out := range s.outputs {
		d.Outputs = append(d.Outputs, out.Name())
	}
	return d
}
