// Package row binds Go types to columns. A Layout is made once, by reflection, when an operator is declared; after that rows go
// to columns and back in one loop a column, over addresses, without reflection and without allocation.
//
// A row type is a struct whose exported fields are columns, named by their tag `tm:"name"` or by the field's name in snake case
// (`tm:"-"` leaves a field out), or a scalar, which is one column. Types: bool, int8 to int64 and int, float32, float64, string
// (utf8), []byte (binary), operator.Timestamp, operator.Date, operator.Decimal with its digits in the tag, slices of each of these
// (lists), and operator.Null of all of them for columns that may be null. Anonymous structs are flattened.
//
// Strings and byte slices of rows that come from columns are views of the frame; lists lie in an arena, because their elements may
// be wider than those of the column, and because whoever gets a slice may sort it.
package row
