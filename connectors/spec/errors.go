package spec

import "github.com/tidemill/tidemill/internal/errcode"

// Codes of configuration errors.
var (
	ErrSyntax    = errcode.New("TM-SPEC-001", errcode.Invalid, "The file is not valid YAML")
	ErrUnknown   = errcode.New("TM-SPEC-002", errcode.Invalid, "A field is not known")
	ErrMissing   = errcode.New("TM-SPEC-003", errcode.Invalid, "A required field is missing")
	ErrType      = errcode.New("TM-SPEC-004", errcode.Invalid, "A value has the wrong type or is out of range")
	ErrChoice    = errcode.New("TM-SPEC-005", errcode.Invalid, "There is no connector, format or other part of that name")
	ErrSecret    = errcode.New("TM-SPEC-006", errcode.Invalid, "A secret is used where it could be shown")
	ErrReference = errcode.New("TM-SPEC-007", errcode.Invalid, "A reference in a value cannot be resolved")
)
