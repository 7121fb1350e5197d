// Package operator is what a Tidemill operator in Go is written with. An operator turns rows of its input ports into rows of its
// output ports, and may keep state and timers by the key of its input. It is built to WebAssembly by `tidemill build` and run by
// `tidemill run`; package operatortest runs it in an ordinary test.
//
// The smallest operator is one function:
//
//	package main
//	import "github.com/tidemill/tidemill/sdk-go/operator"
//	type Line struct{ Text string }
//	type Sized struct{ Text string; Bytes int64 }
//	func init() {
//		operator.Map("sizes", func(l *Line) Sized {
//			return Sized{l.Text, int64(len(l.Text))}
//		})
//	}
//	func main() {}
//
// Others are a struct whose fields declare their parts, and whose method Open attaches the handlers:
//
//	type visits struct {
//		operator.Base                                              // clock, randomness, log
//		Limit int64 `param:"limit" default:"100" doc:"..."`        // a parameter of the job
//		In    operator.In[Visit]                                   // an input port, named in
//		Out   operator.Out[Report]                                 // an output port
//		Count state.Value[int64]                                   // state by key
//		Flush operator.Timer                                       // a name for timers
//	}
//
//	func init() { operator.Register[visits]("visits", "counts visits by user") }
//
// A row is a struct whose exported fields are columns, named by their tag `tm:"name"` or by the field's name in snake case. Columns
// are bound to fields once, when the operator is opened; a record costs no reflection and no allocation. Whole numbers widen to the
// field's type. A column that may be null needs a field of type Null. What comes from a column is valid until the handler returns.
//
// The types of columns are those of fields: bool, int8 to int64 and int, float32, float64, string (utf8), []byte (binary), Timestamp,
// Date, Decimal, whose tag has its digits (`tm:"price,decimal(12,2)"`), and slices of all of these, which are lists. A list is the
// handler's own until it returns, so it may be sorted in place; slices.Clone keeps it for longer.
//
// A handler that is a func literal is a little faster than a method value (some ten nanoseconds a record), and OnBatch, which gets
// columns, much faster than OnRow.
//
// # The ten rules
//
//  1. Order. Rows of one key arrive in the order of their split; across keys, ports and splits there is none. Outputs of one port
//     keep emission order; between ports there is none.
//  2. Watermark. Each row and timer sees one fixed watermark: the last delivered before its input batch or, in a timer, the one
//     that makes it fire. It starts as none and never goes back, also over a restore. A row is late if its event time <= watermark;
//     late rows are delivered.
//  3. Advance. On an advance to W: all due event timers fire, then the watermark callback runs, then W is forwarded, so a timer's
//     output is not late downstream.
//  4. Timers. Per key in order of time, then name in declaration order, then tag; across keys none. Never between rows of one
//     batch. One set for <= W fires with the next advance (or is dropped if declared so); one set inside a timer for <= W fires in
//     the same advance, later. Deleting or replacing counts at once, also for one already due; deleting what is absent does
//     nothing. Processing-time timers fire between batches once processing time has reached them.
//  5. State. Access is to the current item's key and reads its own earlier writes. Lists keep append order; maps iterate in
//     ascending key order over what was there when the iteration began. An expired cell is never returned; writing an equal value
//     is a write.
//  6. Atomicity. State, timers and outputs of consumed items take effect together or not at all, and enter one checkpoint
//     together. The host may cut a batch anywhere and run again an item whose frame failed; results must not depend on batch or
//     frame boundaries.
//  7. Memory. Only declared state lasts. The instance may be replaced between any two frames; memory, globals and caches are
//     hints. Nothing runs between calls.
//  8. Errors. An error names its item. With `fail` the job stops there; with `skip` or `dead_letter` that item alone has no effect
//     and all others have theirs. A trap or exhausted fuel is an error of the item under way and costs the instance.
//  9. End. At the end of input the watermark becomes maximal: all event timers fire, then END runs. Pending processing-time timers
//     never fire. A stop with savepoint is no end.
//  10. Determinism. Clock (constant in a frame, never back) and random come from the host. Same module, same frames since the
//     instance was opened, same seeds: same answers. Do not emit in hash order, do not depend on NaN bits.
package operator
