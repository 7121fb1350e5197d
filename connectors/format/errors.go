package format

import "github.com/tidemill/tidemill/internal/errcode"

// Codes of formats. Those of bad records reach the user by the job's policy for them.
var (
	ErrSchema    = errcode.New("TM-FORMAT-001", errcode.Invalid, "A schema is missing or wrong")
	ErrHeader    = errcode.New("TM-FORMAT-002", errcode.Invalid, "The header lacks a column of the schema")
	ErrValue     = errcode.New("TM-FORMAT-003", errcode.Invalid, "A value cannot be read as its column's type")
	ErrNull      = errcode.New("TM-FORMAT-004", errcode.Invalid, "A value is missing in a column that allows no null")
	ErrMalformed = errcode.New("TM-FORMAT-005", errcode.Invalid, "A record breaks the rules of its format")
	ErrTooLong   = errcode.New("TM-FORMAT-006", errcode.Invalid, "A record is longer than the limit")
	ErrOptions   = errcode.New("TM-FORMAT-007", errcode.Invalid, "The options of a format do not fit each other or the schema")
)
