package abi

import (
	"fmt"
	"math"
)

// The types of parameters.
const (
	ParamBool     = "bool"
	ParamInt      = "int"
	ParamFloat    = "float"
	ParamString   = "string"
	ParamDuration = "duration_ms"
)

func (p *Param) check() *Violation {
	switch p.Type {
	case ParamBool, ParamInt, ParamFloat, ParamString, ParamDuration:
	default:
		return Broken("unknown type %q", clip(p.Type))
	}
	if p.Default == nil {
		return nil
	}
	if p.Required {
		return Broken("required, and yet with a default")
	}
	if _, err := p.Convert(p.Default); err != nil {
		return Broken("default: %v", err)
	}
	return nil
}

// Convert checks a value from JSON or YAML against the parameter's type and returns it as bool, int64 (int, duration_ms), float64
// or string.
func (p *Param) Convert(v any) (any, error) {
	switch p.Type {
	case ParamBool:
		if b, ok := v.(bool); ok {
			return b, nil
		}
	case ParamString:
		if s, ok := v.(string); ok {
			return s, nil
		}
	case ParamFloat:
		switch n := v.(type) {
		case float64:
			return n, nil
		case int64:
			return float64(n), nil
		case uint64:
			return float64(n), nil
		case int:
			return float64(n), nil
		}
	case ParamInt, ParamDuration:
		if n, ok := wholeNumber(v); ok {
			if p.Type == ParamDuration && n < 0 {
				return nil, fmt.Errorf("%d is negative", n)
			}
			return n, nil
		}
	}
	return nil, fmt.Errorf("%v is not of type %s", v, p.Type)
}

func wholeNumber(v any) (int64, bool) {
	switch n := v.(type) {
	case int:
		return int64(n), true
	case int64:
		return n, true
	case uint64:
		return int64(n), n <= math.MaxInt64
	case float64: // what JSON gives; beyond 2^53 a float is not exact
		return int64(n), n == math.Trunc(n) && math.Abs(n) <= 1<<53
	}
	return 0, false
}
