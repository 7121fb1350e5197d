package guest

import "testing"

func TestFunctionName(t *testing.T) {
	for symbol, want := range map[string]string{
		"main.run":                            "main.run",
		"_ZN5delay5flush17h0123456789abcdefE": "delay::flush",
		"_ZN3std9panicking20rust_panic_with_hook17h6c1f0f9a4ed15e7cE":                                  "std::panicking::rust_panic_with_hook",
		"_ZN62_$LT$delay..Delays$u20$as$u20$tidemill..operator..Operator$GT$4open17h0123456789abcdefE": "<delay::Delays as tidemill::operator::Operator>::open",
		"_ZN5delay5flushE":                    "delay::flush", // C++ has no hash
		"_ZN99delayE":                         "_ZN99delayE",
		"_ZN5delay":                           "_ZN5delay",
		"_ZN":                                 "_ZN",
		"_ZNE":                                "_ZNE",
		"_ZN99999999999999999999999999delayE": "_ZN99999999999999999999999999delayE",
	} {
		if got := FunctionName(symbol); got != want {
			t.Errorf("%s is shown as %s, want %s", symbol, got, want)
		}
	}
}
