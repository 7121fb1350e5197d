package operator_test

import (
	"encoding/json"
	"math"
	"testing"

	"github.com/tidemill/tidemill/runtime/operator"
	"github.com/tidemill/tidemill/runtime/record"
)

func TestAppendRowJSON(t *testing.T) {
	fields := []record.Field{{Name: "n", Type: record.I8}, {Name: "b", Type: record.Bool}, {Name: "f", Type: record.F64}, {Name: "day", Type: record.Date32},
		{Name: "u", Type: record.UTF8}, {Name: "x", Type: record.Binary}, {Name: "p", Type: record.DecimalOf(5, 2)},
		{Name: "l", Type: record.ListOf(record.UTF8)}, {Name: "d", Type: record.ListOf(record.DecimalOf(5, 2))}, {Name: "none", Type: record.ListOf(record.I8), Nullable: true}}
	b := record.NewBatch(&record.Schema{Fields: fields}, 1)
	b.Rows = 1
	c := b.Columns
	c[0].AppendInt(-7)
	c[1].AppendInt(1)
	c[2].AppendFloat(math.Inf(1))
	c[3].AppendInt(1)
	c[4].AppendString("a\"é")
	c[5].AppendString("hi")
	c[6].AppendDecimal(record.Decimal{High: -1, Low: 1<<64 - 1230})
	c[7].Elements.AppendString("x")
	c[7].Elements.AppendString("")
	c[7].EndList()
	c[8].Elements.AppendDecimal(record.Decimal{Low: 5})
	c[8].EndList()
	c[9].AppendNull()
	got := operator.AppendRowJSON(nil, b, 0)
	want := `{"n":-7,"b":true,"f":"+Inf","day":"1970-01-02","u":"a\"é","x":"aGk=","p":-12.30,"l":["x",""],"d":[0.05],"none":null}`
	if string(got) != want || !json.Valid(got) {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}
