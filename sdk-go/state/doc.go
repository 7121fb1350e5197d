// Package state holds the keyed state of an operator: the fields of its struct that last. A state is read and written for the
// key of the item under way; what an item writes, later items of the key read, and all of it takes effect together with the
// item's output or not at all.
//
//	type visits struct {
//		In    operator.In[Visit]
//		Count state.Value[int64]                     // prefetched: it comes with the frame
//		Seen  state.Map[string, bool] `tm:",ttl=1h"` // asked for when needed; an entry expires
//		Last  state.List[Visit] `tm:"last,prefetch"` // comes with the frame
//	}
//
// T is a type of column or a struct of them (see package operator). The name, from the tag or the field, is what the state is
// stored under. A job does not start with what was stored under a name that its operator no longer has: a renamed state is refused by
// TM-STATE-007, and starts empty with --allow-undeclared.
//
// Values are prefetched by default, lists and maps are not; the tag options prefetch, prefetch=none and prefetch=port name (ports
// and timers, separated by spaces) change that. A cell of more than 64 KiB is never prefetched. The tag option ttl=24h has a value,
// list element or map entry expire: 24 hours of processing time after it was last written it is absent. Reading does not renew it.
// Where T, K or V is a Decimal, the tag has its digits: `tm:"total,decimal(12,2)"`.
//
// A cell that is prefetched comes whole, with every frame that has an item of its key: prefetch a list or map whose handlers read
// most of it, or which stays at a few dozen entries. With thousands of entries, of which a row reads one, a frame costs the
// thousands; asked for, that row costs one call to the host, once for an entry and frame.
//
// What is read is valid until the handler returns; strings.Clone and slices.Clone keep it for longer. What is written is copied. A
// loop over a map that did not come with the frame takes its entries in blocks, and holds them to the end of the frame where they
// have texts or lists.
package state
