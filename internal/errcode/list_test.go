package errcode

import (
	"errors"
	"fmt"
	"io/fs"
	"testing"
)

var (
	first  = New("TM-TEST-001", Invalid, "a test's")
	second = New("TM-TEST-002", Failed, "another")
)

func TestList(t *testing.T) {
	if List(nil).Err() != nil {
		t.Error("an empty list is an error")
	}
	one := first.Errorf("a")
	if List([]*Error{one}).Err() != error(one) {
		t.Error("a list of one is not its error")
	}
	two := second.Errorf("b").At("f:1").Because(fs.ErrNotExist).Do("make it")
	err := fmt.Errorf("reading: %w", List{one, two}.Err())
	if want := "reading: TM-TEST-001: a\nTM-TEST-002: b (at f:1): file does not exist; make it"; err.Error() != want {
		t.Errorf("got %q, want %q", err, want)
	}
	if !errors.Is(err, fs.ErrNotExist) || Of(err) != one {
		t.Error("the chain is broken")
	}
	if !Is(err, first) || !Is(err, second) {
		t.Error("Is does not see every error of a list")
	}
	if all := Each(err); len(all) != 2 || all[1] != two {
		t.Errorf("Each: %v", all)
	}
	if all := Each(fmt.Errorf("x: %w", two)); len(all) != 1 || all[0] != two {
		t.Errorf("Each of one: %v", all)
	}
	outer := first.Errorf("a").Because(List{two, two})
	if all := Each(outer); len(all) != 1 || all[0] != outer || !Is(outer, second) {
		t.Errorf("Each of an error caused by a list: %v", all)
	}
	if all := Each(errors.Join(errors.New("plain"), fmt.Errorf("x: %w", two), nil, List{one, two})); len(all) != 3 || all[1] != one {
		t.Errorf("Each of joined errors: %v", all)
	}
	if Each(errors.New("plain")) != nil {
		t.Error("Each of a plain error")
	}
}
