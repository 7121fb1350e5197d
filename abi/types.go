package abi

import "fmt"

// String is the name used in JSON and in job.yaml.
func (t Type) String() string {
	if s, ok := TypeNames[t]; ok {
		return s
	}
	return fmt.Sprintf("type %d", uint16(t))
}

// ParseType returns the type of that name, reserved ones included.
func ParseType(name string) (Type, bool) {
	for t, s := range TypeNames {
		if s == name {
			return t, true
		}
	}
	return 0, false
}

// Width is the number of bytes of a value in the values buffer; 0 for bool (a bit) and for types with offsets.
func (t Type) Width() int {
	switch t {
	case I8:
		return 1
	case I16:
		return 2
	case I32, F32, Date32:
		return 4
	case I64, F64, Timestamp, TimestampTZ:
		return 8
	}
	return 0
}

// HasOffsets says whether values are of variable length.
func (t Type) HasOffsets() bool { return t == UTF8 || t == Binary }

// Supported says whether columns of the type can be carried; all other types with a name are reserved.
func (t Type) Supported() bool { return t == Bool || t.HasOffsets() || t.Width() > 0 }

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
