package measure

import (
	"strings"
	"testing"
)

func TestSpread(t *testing.T) {
	if got := SpreadOf([]float64{5, 1, 3}); got != (Spread{1, 3, 5}) {
		t.Errorf("odd: %v", got)
	}
	if got := SpreadOf([]float64{4, 1, 2, 3}); got != (Spread{1, 2.5, 4}) {
		t.Errorf("even: %v", got)
	}
}

func TestCompareRefusesAWrongOutput(t *testing.T) {
	good := Side{Name: "good", Want: "1", Run: func() (int64, string, error) { return 10, "1", nil }}
	bad := Side{Name: "bad", Want: "1", Run: func() (int64, string, error) { return 10, "2", nil }}
	if _, err := Compare("X", "", "record", 1, good, bad); err == nil || !strings.Contains(err.Error(), "no timing counts") {
		t.Errorf("err = %v", err)
	}
	r, err := Compare("X", "", "record", 3, good, good)
	if err != nil || len(r.Pairs) != 3 || len(r.AA) != 3 || r.Units != 10 {
		t.Errorf("%+v, %v", r, err)
	}
}
