package operator

import "github.com/tidemill/tidemill/sdk-go/internal/engine"

// Map registers an operator that makes one row of each: from port in to port out.
func Map[From, To any](name string, f func(row *From) To) {
	registerFunction(name, func(row *From, out *Out[To]) error {
		out.Emit(f(row))
		return nil
	})
}

// Filter registers an operator that lets through the rows that keep accepts, with all their columns: from port in to port out.
// Only the columns of R enter the module, and only row numbers leave it.
func Filter[R any](name string, keep func(row *R) bool) {
	registerFunction(name, func(row *R, out *Out[FromInputRow]) error {
		if keep(row) {
			out.Emit(FromInputRow{})
		}
		return nil
	})
}

// FlatMap registers an operator that makes any number of rows of each: from port in to port out. An error rejects the row.
func FlatMap[From, To any](name string, f func(row *From, out *Out[To]) error) {
	registerFunction(name, f)
}

// FromInputRow is the output row that is the row under way with all its columns.
type FromInputRow struct{ FromInput }

// function is an operator that is one function.
type function[From, To any] struct {
	In  In[From]
	Out Out[To]
	f   func(*From, *Out[To]) error
}

func (o *function[From, To]) Open() error {
	f, out := o.f, &o.Out
	o.In.OnRow(func(row *From) error { return f(row, out) })
	return nil
}

func registerFunction[From, To any](name string, f func(*From, *Out[To]) error) {
	engine.Registered.Register(engine.Entry{Name: name, New: func() engine.Operator {
		op := &function[From, To]{f: f}
		return engine.Operator{Parts: op, Open: op.Open}
	}})
}
