package abi

import (
	"fmt"
	"strconv"
	"strings"
)

// A Type holds its number in the low 16 bits, and above them what it is made with, so that types are compared and switched on as
// numbers: 6 bits of a decimal's digits, 6 of its scale, and 4 with the number of a list's element. The digits and scale of a list
// of decimals are the element's. Only the number crosses to a guest; the rest is declared in JSON, by name.
const (
	digitsAt  = 16
	scaleAt   = 22
	elementAt = 28
	numberOf  = 1<<digitsAt - 1
	digitBits = 1<<(scaleAt-digitsAt) - 1
)

// DecimalDigits is the greatest number of digits of a decimal128.
const DecimalDigits = 38

// DecimalOf is the type decimal128(digits,scale): numbers of so many decimal digits, of which scale stand behind the point.
func DecimalOf(digits, scale int) Type {
	return Decimal128 | Type(digits)<<digitsAt | Type(scale)<<scaleAt
}

// ListOf is the type of lists of a type that is not a list itself.
func ListOf(element Type) Type {
	return List | element.Kind()<<elementAt | element&^numberOf
}

// Kind is the type without what it is made with: a decimal of any digits is Decimal128, a list of anything List.
func (t Type) Kind() Type { return t & numberOf }

// Digits is the number of digits of a decimal128, 0 where they are not known.
func (t Type) Digits() int { return int(t >> digitsAt & digitBits) }

// Scale is how many of a decimal128's digits stand behind the point.
func (t Type) Scale() int { return int(t >> scaleAt & digitBits) }

// Element is the type of a list's elements.
func (t Type) Element() Type { return t>>elementAt | t&(1<<elementAt-1)&^numberOf }

// String is the name used in JSON and in job.yaml.
func (t Type) String() string {
	name, known := TypeNames[t.Kind()]
	switch {
	case !known:
		return fmt.Sprintf("type %d", uint32(t.Kind()))
	case t == t.Kind():
		return name
	case t.Kind() == List:
		return name + "<" + t.Element().String() + ">"
	}
	return fmt.Sprintf("%s(%d,%d)", name, t.Digits(), t.Scale())
}

var typesByName = func() map[string]Type {
	types := make(map[string]Type, len(TypeNames))
	for t, name := range TypeNames {
		types[name] = t
	}
	return types
}()

// ParseType returns the type of that name, one that columns can have.
func ParseType(name string) (Type, *Violation) {
	if element, list := cutName(name, "list<", ">"); list {
		if element == "list" || strings.HasPrefix(element, "list<") {
			return 0, Reserved(FeatureNested)
		}
		t, err := ParseType(element)
		if err != nil {
			return 0, err
		}
		return ListOf(t), nil
	}
	if inner, decimal := cutName(name, "decimal128(", ")"); decimal {
		digits, scale, _ := strings.Cut(inner, ",")
		p, _ := strconv.ParseUint(digits, 10, 8)
		s, _ := strconv.ParseUint(scale, 10, 8)
		if p == 0 || p > DecimalDigits || s > p || DecimalOf(int(p), int(s)).String() != name {
			return 0, Broken("type %q is not decimal128(P,S) with 1 to %d digits P, and a scale S from 0 to P", clip(name), DecimalDigits)
		}
		return DecimalOf(int(p), int(s)), nil
	}
	switch t, known := typesByName[name]; {
	case !known:
		return 0, Broken("unknown type %q", clip(name))
	case t == Decimal128:
		return 0, Broken("type decimal128 without its digits and scale, as in decimal128(12,2)")
	case t == List:
		return 0, Broken("type list without its element, as in list<utf8>")
	case !t.Supported():
		return 0, ReservedType(t)
	default:
		return t, nil
	}
}

// cutName returns what stands between the two ends of a name.
func cutName(name, before, after string) (string, bool) {
	inner, found := strings.CutPrefix(name, before)
	if !found {
		return "", false
	}
	return strings.CutSuffix(inner, after)
}

// Width is the number of bytes of a value in the values buffer; 0 for bool (a bit) and for types with offsets.
func (t Type) Width() int {
	switch t.Kind() {
	case I8:
		return 1
	case I16:
		return 2
	case I32, F32, Date32:
		return 4
	case I64, F64, Timestamp, TimestampTZ:
		return 8
	case Decimal128:
		return 16
	}
	return 0
}

// HasOffsets says whether values are bytes of variable length: utf8 and binary.
func (t Type) HasOffsets() bool { return t == UTF8 || t == Binary }

// Supported says whether columns of the kind can be carried; all other types with a name are reserved.
func (t Type) Supported() bool {
	return t == Bool || t.HasOffsets() || t.Width() > 0 || t.Kind() == List
}

// String is the name of the kind in SPEC.md.
func (k Kind) String() string {
	switch k {
	case KindBatch:
		return "BATCH"
	case KindTimers:
		return "TIMERS"
	case KindWatermark:
		return "WATERMARK"
	case KindEnd:
		return "END"
	case KindAggregate:
		return "AGGREGATE"
	case KindMigrate:
		return "MIGRATE"
	}
	return fmt.Sprintf("kind %d", uint16(k))
}

// String is the name of the section in SPEC.md.
func (s SectionID) String() string {
	switch s {
	case SectionContext:
		return "CONTEXT"
	case SectionBatch:
		return "BATCH"
	case SectionKeys:
		return "KEYS"
	case SectionState:
		return "STATE"
	case SectionTimers:
		return "TIMERS"
	case SectionConsumed:
		return "CONSUMED"
	case SectionWatermark:
		return "WATERMARK"
	case SectionMetrics:
		return "METRICS"
	case SectionError:
		return "ERROR"
	case SectionMerge:
		return "MERGE"
	}
	return fmt.Sprintf("section %d", uint16(s))
}

// String is the name of the kind in descriptors.
func (k StateKind) String() string {
	switch k {
	case StateValue:
		return "value"
	case StateList:
		return "list"
	case StateMap:
		return "map"
	}
	return fmt.Sprintf("state kind %d", uint32(k))
}
