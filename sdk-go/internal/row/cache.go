package row

import (
	"reflect"
	"sync"
)

// What is known of types is kept: an operator is declared when it is registered and again when it is opened, most operators use a
// row type in several places, and to take one apart is most of what opening an instance costs.
var known struct {
	sync.Mutex
	layouts map[layoutKey]*Layout
	columns map[reflect.Type]*Columns
}

type layoutKey struct {
	t               reflect.Type
	scalar, decimal string // its column, and what the tag says of its digits
	tz              bool
}

// Of is the layout of t, which is shared. A scalar type is one column of the given name, for which the options of a tag can say more.
func Of(t reflect.Type, scalar string, options map[string]string) (*Layout, error) {
	decimal, digits := options[optionDecimal]
	if digits {
		decimal += ")" // tells an empty option from none
	}
	key := layoutKey{t, scalar, decimal, has(options, optionTZ)}
	known.Lock()
	defer known.Unlock()
	if l := known.layouts[key]; l != nil {
		return l, nil
	}
	l, err := layoutOf(t, scalar, options)
	if err != nil {
		return nil, err
	}
	if known.layouts == nil {
		known.layouts = map[layoutKey]*Layout{}
	}
	known.layouts[key] = l
	return l, nil
}

// ColumnsOf is the layout of the struct t, which is shared.
func ColumnsOf(t reflect.Type) (*Columns, error) {
	known.Lock()
	defer known.Unlock()
	if l := known.columns[t]; l != nil {
		return l, nil
	}
	l, err := columnsOf(t)
	if err != nil {
		return nil, err
	}
	if known.columns == nil {
		known.columns = map[reflect.Type]*Columns{}
	}
	known.columns[t] = l
	return l, nil
}
