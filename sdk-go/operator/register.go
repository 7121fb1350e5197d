package operator

import "github.com/tidemill/tidemill/sdk-go/internal/engine"

// Interface is what the pointer to an operator's struct has. Open runs when parameters are set and before the first row: it
// attaches the handlers of ports and timers and may refuse parameters by an error (see ParamError). It must have no other
// effects, because it also runs when a job is only planned.
type Interface interface {
	Open() error
}

// WatermarkHandler is an operator that is called after each advance of the watermark, when the due timers have fired. There is
// no key then, and so no state.
type WatermarkHandler interface {
	OnWatermark(w Timestamp) error
}

// EndHandler is an operator that is called at the end of all input, after the last timers. There is no key then.
type EndHandler interface {
	OnEnd() error
}

// Register makes an operator of the program known under a name: one that a struct T with its declared parts implements. Call it
// from init. It panics where T is wrong, with the field and the reason.
func Register[T any, P interface {
	*T
	Interface
}](name, doc string) {
	engine.Registered.Register(Entry[T, P](name, doc))
}

// Entry is what Register registers; package operatortest uses it.
func Entry[T any, P interface {
	*T
	Interface
}](name, doc string) engine.Entry {
	return engine.Entry{Name: name, Doc: doc, New: func() engine.Operator {
		op := P(new(T))
		return hooks(op, op.Open)
	}}
}

// hooks finds the callbacks that an operator has.
func hooks(op any, open func() error) engine.Operator {
	out := engine.Operator{Parts: op, Open: open}
	if h, ok := op.(WatermarkHandler); ok {
		out.Watermark = func(w int64) error { return h.OnWatermark(Timestamp(w)) }
	}
	if h, ok := op.(EndHandler); ok {
		out.End = h.OnEnd
	}
	return out
}

// ParamError is an error of Open about a parameter.
func ParamError(param, message string) error {
	return &engine.ParamError{Param: param, Message: message}
}
