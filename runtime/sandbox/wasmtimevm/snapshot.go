//go:build wasmtime

package wasmtimevm

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"

	"github.com/tidemill/tidemill/runtime/sandbox/guest"
	"github.com/tidemill/tidemill/runtime/sandbox/meter"
	"github.com/tidemill/tidemill/runtime/sandbox/profile"
	"github.com/tidemill/tidemill/runtime/sandbox/vm"
	"github.com/tidemill/tidemill/runtime/sandbox/wasm"
)

var _ vm.Snapshotter = (*compiled)(nil)

// Snapshot implements vm.Snapshotter. Every instance of the result begins with a copy of the image.
func (c *compiled) Snapshot(_ context.Context, host vm.Host, config vm.Config, prepare func(vm.Instance) error) (vm.Compiled, error) {
	instance := func(initialize bool) (guest.Imaged, error) {
		return c.instance(host, config, initialize && c.image == nil)
	}
	snapshot := *c
	snapshot.shared = true
	err := guest.Snapshot(instance, prepare, func(memory []byte) { snapshot.image = bytes.Clone(memory) })
	if err != nil {
		return nil, err
	}
	return &snapshot, nil
}

// restore makes the memory what the image is.
func (i *instance) restore(image []byte) error {
	if more := len(image) - len(i.view); more > 0 {
		if _, err := i.memory.Grow(i.store, uint64(more/profile.PageBytes)); err != nil {
			return err
		}
		i.look()
	}
	copy(i.view, image)
	return nil
}

// Globals implements guest.Imaged.
func (i *instance) Globals() (values []uint64) {
	for n := range i.compiled.globals {
		v := i.module.GetExport(i.store, globalName(n)).Global().Get(i.store)
		values = append(values, bits(v.Get()))
	}
	return values
}

// globalName is what a global is exported as: wasmtime shows no others.
func globalName(n int) string { return fmt.Sprint("tidemill_wasmtimevm_global_", n) }

// withGlobals exports all globals of a metered module but the fuel balance, and says how many. Their order is that of the indices.
func withGlobals(metered []byte) (out []byte, globals int, err error) {
	m, err := wasm.Decode(metered)
	if err != nil {
		return nil, 0, profile.Refused(err)
	}
	var exports []byte
	for n := range m.GlobalCount() {
		if n == m.GlobalCount()-meter.AddedGlobals {
			continue
		}
		exports = append(wasm.AppendName(exports, globalName(globals)), byte(wasm.ExternGlobal))
		exports = wasm.AppendU32(exports, uint32(n))
		globals++
	}
	begin := 0
	for _, s := range m.Sections {
		if s.ID == wasm.ExportSection {
			body := m.Bytes(s.Body)
			count, size := binary.Uvarint(body)
			body = append(wasm.AppendU32(nil, uint32(count)+uint32(globals)), body[size:]...)
			out = append(out, metered[:begin]...)
			out = wasm.AppendSection(out, s.ID, append(body, exports...))
			return append(out, metered[s.Body.End:]...), globals, nil
		}
		begin = s.Body.End
	}
	return nil, 0, fmt.Errorf("the module has no exports: it has not passed the profile")
}
