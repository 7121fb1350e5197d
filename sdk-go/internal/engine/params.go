package engine

import (
	"errors"
	"reflect"
	"strconv"
	"strings"
	"time"
	"unsafe"

	"github.com/tidemill/tidemill/sdk-go/internal/abi"
)

// param is a struct field that takes a parameter of the job.
type param struct {
	abi.Param
	field reflect.Value
}

// The types of parameters.
const (
	paramBool     = "bool"
	paramInt      = "int"
	paramFloat    = "float"
	paramString   = "string"
	paramDuration = "duration_ms"
)

func (s *Slot) declareParam(name string, f reflect.StructField, at unsafe.Pointer) error {
	p := param{Param: abi.Param{Name: name, Doc: f.Tag.Get("doc")}, field: reflect.NewAt(f.Type, at).Elem()}
	if name == "" {
		return errors.New("the tag param is empty")
	}
	switch {
	case f.Type == reflect.TypeFor[time.Duration]():
		p.Type = paramDuration
	case p.field.CanInt():
		p.Type = paramInt
	case p.field.CanFloat():
		p.Type = paramFloat
	case f.Type.Kind() == reflect.Bool:
		p.Type = paramBool
	case f.Type.Kind() == reflect.String:
		p.Type = paramString
	default:
		return errors.New("a parameter cannot be a " + f.Type.String())
	}
	text, ok := f.Tag.Lookup("default")
	if p.Required = !ok; ok {
		v, err := p.parse(text)
		if err != nil {
			return errors.New("default " + strconv.Quote(text) + ": " + err.Error())
		}
		if err := p.set(v); err != nil {
			return err
		}
		p.Default = v
	}
	s.params = append(s.params, p)
	return nil
}

// parse reads a default as the value that JSON would have.
func (p *param) parse(text string) (any, error) {
	switch p.Type {
	case paramBool:
		return strconv.ParseBool(text)
	case paramInt:
		return strconv.ParseInt(text, 10, 64)
	case paramFloat:
		return strconv.ParseFloat(text, 64)
	case paramDuration:
		d, err := time.ParseDuration(text)
		return d.Milliseconds(), err
	}
	return text, nil
}

// set takes a value as JSON gives it: a whole number can be a float.
func (p *param) set(v any) error {
	if n, ok := v.(int64); ok && p.Type == paramFloat {
		v = float64(n)
	}
	switch v := v.(type) {
	case bool:
		if p.Type == paramBool {
			p.field.SetBool(v)
			return nil
		}
	case string:
		if p.Type == paramString {
			p.field.SetString(v)
			return nil
		}
	case float64:
		if p.Type == paramFloat {
			p.field.SetFloat(v)
			return nil
		}
	case int64:
		if p.Type == paramDuration {
			p.field.SetInt(v * int64(time.Millisecond))
			return nil
		}
		if p.Type == paramInt {
			if p.field.OverflowInt(v) {
				return errors.New(strconv.FormatInt(v, 10) + " is out of the range of " + p.field.Type().String())
			}
			p.field.SetInt(v)
			return nil
		}
	}
	return errors.New("it must be a " + strings.TrimSuffix(p.Type, "_ms"))
}

// setParams sets the fields from the job's parameters.
func (s *Slot) setParams(given map[string]any) error {
	known := map[string]bool{}
	for i := range s.params {
		p := &s.params[i]
		known[p.Name] = true
		v, ok := given[p.Name]
		if !ok {
			if p.Required {
				return &ParamError{p.Name, "it is required"}
			}
			continue
		}
		if err := p.set(v); err != nil {
			return &ParamError{p.Name, err.Error()}
		}
	}
	unknown := ""
	for name := range given {
		if !known[name] && (unknown == "" || name < unknown) {
			unknown = name
		}
	}
	if unknown != "" {
		return &ParamError{unknown, "the operator has no such parameter"}
	}
	return nil
}
