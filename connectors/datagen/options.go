package datagen

import (
	"context"
	"errors"
	"math"
	"strconv"

	"github.com/tidemill/tidemill/connectors"
	"github.com/tidemill/tidemill/connectors/format"
	"github.com/tidemill/tidemill/connectors/spec"
	"github.com/tidemill/tidemill/internal/errcode"
	"github.com/tidemill/tidemill/runtime/record"
)

// ErrOptions is the code of options that do not fit together.
var ErrOptions = errcode.New("TM-CONN-111", errcode.Invalid, "The options of a datagen source do not fit together")

const textLengthMax = 64 << 10 // characters of a text value (I8)

var intTypes = []string{"i8", "i16", "i32", "i64"}

var column = &spec.Object{
	Doc: "How the values of a column are made.", Selector: "kind", What: "kind of column",
	Choices: func() []spec.Choice {
		typ := spec.Field{Name: "type", Kind: spec.Enum, Enum: intTypes, Default: "i64", Doc: "The type of the column."}
		return []spec.Choice{
			{Name: "sequence", Doc: "start, start+step, start+2*step and so on, by the record's number; beyond the " +
				"type's range it wraps.", Object: &spec.Object{Fields: []spec.Field{
				typ,
				{Name: "start", Kind: spec.Int, Default: "0", Doc: "The value of the first record."},
				{Name: "step", Kind: spec.Int, Default: "1", Doc: "What each record adds."},
			}}},
			{Name: "uniform", Doc: "Whole numbers between min and max, all equally likely.", Object: &spec.Object{Fields: []spec.Field{
				typ,
				{Name: "min", Kind: spec.Int, Default: "0", Doc: "The least value."},
				{Name: "max", Kind: spec.Int, Required: true, Doc: "The greatest value."},
			}}},
			{Name: "zipf", Doc: "Whole numbers from 0 to distinct-1; value k is as likely as 1/(k+1)^exponent: a few " +
				"are frequent, many are rare.", Object: &spec.Object{Fields: []spec.Field{
				typ,
				{Name: "distinct", Kind: spec.Int, Required: true, Min: "1", Max: "1000000000000", Doc: "How many values there are."},
				{Name: "exponent", Kind: spec.Float, Default: "1.1", Min: "0.01", Max: "10", Doc: "How uneven they are."},
			}}},
			{Name: "float", Doc: "f64 numbers from min up to max, all equally likely.", Object: &spec.Object{Fields: []spec.Field{
				{Name: "min", Kind: spec.Float, Default: "0", Doc: "The least value."},
				{Name: "max", Kind: spec.Float, Default: "1", Doc: "The bound above."},
			}}},
			{Name: "choice", Doc: "One of several texts (utf8), all equally likely.", Object: &spec.Object{Fields: []spec.Field{
				{Name: "values", Kind: spec.List, Required: true, Doc: "The texts."},
			}}},
			{Name: "text", Doc: "Random small letters (utf8).", Object: &spec.Object{Fields: []spec.Field{
				{Name: "length", Kind: spec.Int, Required: true, Min: "0", Max: strconv.Itoa(textLengthMax), Unit: "characters", Doc: "The length of each text."},
			}}},
			{Name: "time", Doc: "Timestamps that advance with the record's number.", Object: &spec.Object{Fields: []spec.Field{
				{Name: "type", Kind: spec.Enum, Enum: []string{"timestamp", "timestamp_tz"}, Default: "timestamp", Doc: "The type of the column."},
				{Name: "start", Kind: spec.String, Default: "2020-01-01T00:00:00Z", Check: checkTime, Doc: "The time of the first record, " +
					"RFC 3339."},
				{Name: "every", Kind: spec.Duration, Default: "1ms", Min: "0s", Doc: "How far each record advances " +
					"the time."},
				{Name: "jitter", Kind: spec.Duration, Default: "0s", Min: "0s", Doc: "Each time is set back by a " +
					"random part of this: so far can records be out of order."},
			}}},
		}
	},
}

func checkTime(text string) error {
	if _, ok := format.ParseTimestamp([]byte(text)); !ok {
		return errors.New("want a time like 2020-01-01T00:00:00Z")
	}
	return nil
}

var options = &spec.Object{Fields: []spec.Field{
	{Name: "rows", Kind: spec.Int, Min: "0", Doc: "How many records to make over all splits. Without it the source " +
		"never ends."},
	{Name: "splits", Kind: spec.Int, Min: "1", Max: "4096", Doc: "How many splits the records are dealt to. Without " +
		"it there is one a subtask."},
	{Name: "seed", Kind: spec.Int, Default: "1", Doc: "Another seed makes other random values."},
	{Name: "columns", Kind: spec.Map, Required: true, Elem: &spec.Field{Name: "column", Kind: spec.Nested, Object: column, Doc: "how its values are made"},
		Doc: "The columns by name."},
}}

func init() {
	connectors.RegisterSource(connectors.SourceType{
		Name: "datagen", Doc: "Makes records by rule: the same ones for the same seed, whatever happens in between.",
		Example: `connector: datagen
rows: 1_000_000
columns:
  key: {kind: zipf, distinct: 10000}
  carrier: {kind: choice, values: [UA, AA, DL]}
  at: {kind: time, every: 1ms, jitter: 5s}
`,
		Options: options, New: newSource,
	})
}

func newSource(_ context.Context, env connectors.Env, v spec.Values) (connectors.Source, error) {
	s := &source{rows: math.MaxInt64, splits: int64(max(env.Parallelism, 1))}
	if v.Set("rows") {
		s.rows, s.bounded = v.Int("rows"), true
	}
	if v.Set("splits") {
		s.splits = v.Int("splits")
	}
	var fields []record.Field
	for i, e := range v.Map("columns") {
		typ, width, fill, err := filler(e.Value.Object("column"), mix(uint64(v.Int("seed"))^mix(uint64(i)+1)))
		if err != nil {
			return nil, err
		}
		fields = append(fields, record.Field{Name: e.Name, Type: typ})
		s.fill = append(s.fill, fill)
		s.rowBytes += width
	}
	if len(fields) == 0 {
		return nil, v.Errorf(ErrOptions, "columns", "there are no columns")
	}
	var err error
	if s.schema, err = record.NewSchema(fields); err != nil {
		return nil, v.Errorf(ErrOptions, "columns", "the columns are wrong").Because(err)
	}
	return s, nil
}
