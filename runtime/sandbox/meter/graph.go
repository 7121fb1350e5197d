package meter

import "github.com/tidemill/tidemill/runtime/sandbox/wasm"

// analyse reads every body once, finds the back edges of the call graph and what must be charged at its entry, and returns the functions in an order in which callees
// come before callers, except along back edges.
func (r *rewriter) analyse() ([]uint32, error) {
	r.markRoots()
	for i := range r.functions {
		if err := r.scan(i); err != nil {
			return nil, err
		}
	}
	order := r.postorder()
	for i := range r.functions {
		f := &r.functions[i]
		f.charged = f.cycle || f.taken || f.entered || f.loops > 0 // others if they turn out to be large
	}
	return order, nil
}

func (r *rewriter) markRoots() {
	imported := uint32(r.m.ImportedFuncs)
	at := func(fn uint32) *function {
		if fn < imported {
			return &function{} // an import: nothing to mark
		}
		return &r.functions[fn-imported]
	}
	for _, e := range r.m.Exports {
		if e.Kind == wasm.ExternFunc {
			at(e.Index).entered = true
		}
	}
	if r.m.Start >= 0 {
		at(uint32(r.m.Start)).entered = true
	}
	for _, g := range r.m.Globals {
		if g.Init.Op == wasm.OpRefFunc {
			at(g.Init.Imm).taken = true
		}
	}
	for i := range r.m.Elements {
		for _, fn := range r.m.Elements[i].Funcs {
			at(fn).taken = true
		}
		for _, init := range r.m.Elements[i].Inits {
			if init.Op == wasm.OpRefFunc {
				at(init.Imm).taken = true
			}
		}
	}
}

func (r *rewriter) scan(i int) (err error) {
	if r.instrs, err = r.m.Instructions(i, r.instrs[:0]); err != nil {
		return err
	}
	f, imported := &r.functions[i], uint32(r.m.ImportedFuncs)
	for _, in := range r.instrs {
		switch in.Op {
		case wasm.OpLoop:
			f.loops++
		case wasm.OpCall:
			if in.Imm >= imported {
				f.calls = true
				f.callees = append(f.callees, in.Imm-imported)
			}
		case wasm.OpCallIndirect:
			f.calls = true
		case wasm.OpMemoryInit, wasm.OpDataDrop:
			r.namesData = true
		case wasm.OpRefFunc:
			if in.Imm >= imported {
				r.functions[in.Imm-imported].taken = true
			}
		}
	}
	r.report.Loops += f.loops
	return nil
}

// postorder walks the call graph depth first, with a stack of its own: a hostile graph is as deep as it has functions.
func (r *rewriter) postorder() []uint32 {
	const (
		unseen = iota
		open
		done
	)
	type visit struct{ fn, next uint32 }
	state := make([]byte, len(r.functions))
	order := make([]uint32, 0, len(r.functions))
	var path []visit
	for root := range r.functions {
		if state[root] != unseen {
			continue
		}
		state[root] = open
		path = append(path, visit{fn: uint32(root)})
		for len(path) > 0 {
			v := &path[len(path)-1]
			f := &r.functions[v.fn]
			if int(v.next) == len(f.callees) {
				state[v.fn] = done
				order = append(order, v.fn)
				path = path[:len(path)-1]
				continue
			}
			callee := f.callees[v.next]
			v.next++
			switch state[callee] {
			case unseen:
				state[callee] = open
				path = append(path, visit{fn: callee})
			case open:
				r.functions[callee].cycle = true
			}
		}
	}
	return order
}

// uncountedBytesMax bounds the stack that functions may use on the way from one counted function to the next.
const uncountedBytesMax = 64 << 10

// frameBytes estimates the native frame of a call by its parameters and locals.
func (r *rewriter) frameBytes(i uint32) int64 {
	values := int64(r.m.Bodies[i].LocalCount) + int64(len(r.m.TypeOf(r.m.ImportedFuncs+int(i)).Params))
	return max(FrameBytesMin, 8*values)
}

// stackCharge is what a function takes from the stack's budget at its entry: 0 where it does not count. Callees come first.
func (r *rewriter) stackCharge(i uint32) int64 {
	f := &r.functions[i]
	below := int64(0)
	for _, c := range f.callees {
		below = max(below, r.functions[c].reach)
	}
	bytes := r.frameBytes(i) + below
	if f.calls && (f.cycle || f.taken) || bytes > uncountedBytesMax {
		return bytes
	}
	f.reach = bytes
	return 0
}
