//go:build wasmtime

package conformance

import (
	"fmt"
	"path/filepath"
	"reflect"
	"slices"
	"sync"

	"github.com/tidemill/tidemill/abi/conformance/program"
	"github.com/tidemill/tidemill/runtime/sandbox/vm"
	"github.com/tidemill/tidemill/runtime/sandbox/wasmtimevm"
)

func init() { check = checkBoth }

// onWasmtime compiles the guests for the second engine, in the order of modules.
var onWasmtime = sync.OnceValues(func() (list []*Guest, err error) {
	for _, m := range modules {
		g, err := Load(m.language, filepath.Join(*folder, m.path), func(string) vm.Engine { return wasmtimevm.New() }, m.limits)
		if err != nil {
			return nil, err
		}
		list = append(list, g)
	}
	return list, nil
})

// checkBoth runs a case by a plan on both engines. Each must show what the model says, and both the same where the model leaves it open:
// what was drawn, how errors are told, and every unit of fuel.
func checkBoth(c *program.Case, plan *Plan) error {
	wazero, err := Run(c, plan)
	if err != nil {
		return err
	}
	second, err := onWasmtime()
	if err != nil {
		return err
	}
	other := *plan
	other.Guests = nil
	for _, g := range plan.Guests {
		i := slices.IndexFunc(second, func(s *Guest) bool { return s.Language == g.Language })
		other.Guests = append(other.Guests, second[i])
	}
	wasmtime, err := Run(c, &other)
	if err != nil {
		return fmt.Errorf("on wasmtime: %w", err)
	}
	expected := Expect(c, plan)
	if d := expected.Difference(wazero, plan); d != "" {
		return fmt.Errorf("%s", d)
	}
	if d := expected.Difference(wasmtime, plan); d != "" {
		return fmt.Errorf("on wasmtime: %s", d)
	}
	a, b := reflect.ValueOf(wazero).Elem(), reflect.ValueOf(wasmtime).Elem()
	for i := range a.NumField() {
		// As text: NaN is not equal to itself.
		if x, y := fmt.Sprint(a.Field(i)), fmt.Sprint(b.Field(i)); x != y {
			return fmt.Errorf("%s: %s on wazero, %s on wasmtime", a.Type().Field(i).Name, short(x), short(y))
		}
	}
	return nil
}
