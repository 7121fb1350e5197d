package view

import (
	"encoding/json"

	"github.com/tidemill/tidemill/runtime/operator"
	"github.com/tidemill/tidemill/runtime/record"
)

// Row is a row as a JSON object: decode appends it to empty columns of the fields.
func Row(fields []record.Field, decode func([]record.Column) error) (json.RawMessage, error) {
	b := record.NewBatch(&record.Schema{Fields: fields}, 1)
	if err := decode(b.Columns); err != nil {
		return nil, err
	}
	b.Rows = 1
	return operator.AppendRowJSON(nil, b, 0), nil
}

// Key is an encoded key as a JSON object of its columns.
func Key(fields []record.Field, key []byte) (json.RawMessage, error) {
	return Row(fields, func(c []record.Column) error { return record.DecodeKey(key, c) })
}
