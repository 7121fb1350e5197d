package program

import "math"

// Op is a command's number.
type Op byte

// The commands of PROGRAM.md.
const (
	Values Op = iota
	Echo
	Pass
	Due
	Draw
	Clock
	ValueGet
	ValueSet
	ValueAdd
	ValueClear
	ListAll
	ListLen
	ListAppend
	ListClear
	MapGet
	MapSet
	MapAdd
	MapDelete
	MapClear
	MapScan
	TimerSet
	TimerDelete
	TimerDeleteAt
	Log
	Count
	Gauge
	Fault
	Repeat
	ops
)

// Budget is how many steps an item may take.
const Budget = 256

// shape is a command's name and operands: one letter each, see Reader.operand.
type shape struct {
	name     string
	operands string
	key, row bool // runs only where there is a key, or a row of port in
}

var shapes = [ops]shape{
	Values:        {name: "values", operands: "r"},
	Echo:          {name: "echo", key: true},
	Pass:          {name: "pass", operands: "n", key: true, row: true},
	Due:           {name: "due", operands: "tn", key: true},
	Draw:          {name: "draw"},
	Clock:         {name: "clock"},
	ValueGet:      {name: "value_get", operands: "3", key: true},
	ValueSet:      {name: "value_set", operands: "3r", key: true},
	ValueAdd:      {name: "value_add", operands: "3n", key: true},
	ValueClear:    {name: "value_clear", operands: "3", key: true},
	ListAll:       {name: "list_all", operands: "3", key: true},
	ListLen:       {name: "list_len", operands: "3", key: true},
	ListAppend:    {name: "list_append", operands: "3r", key: true},
	ListClear:     {name: "list_clear", operands: "3", key: true},
	MapGet:        {name: "map_get", operands: "4k", key: true},
	MapSet:        {name: "map_set", operands: "4kr", key: true},
	MapAdd:        {name: "map_add", operands: "4kn", key: true},
	MapDelete:     {name: "map_delete", operands: "4k", key: true},
	MapClear:      {name: "map_clear", operands: "4", key: true},
	MapScan:       {name: "map_scan", operands: "4s", key: true},
	TimerSet:      {name: "timer_set", operands: "8twp", key: true},
	TimerDelete:   {name: "timer_delete", operands: "8w", key: true},
	TimerDeleteAt: {name: "timer_delete_at", operands: "8tw", key: true},
	Log:           {name: "log", operands: "5n"},
	Count:         {name: "count", operands: "b"},
	Gauge:         {name: "gauge", operands: "f"},
	Fault:         {name: "fault", operands: "bx"},
	Repeat:        {name: "repeat", operands: "bp"},
}

// String is the command's name.
func (o Op) String() string { return shapes[o].name }

// NeedsKey and NeedsRow say where a command is passed over: without a key, and in anything but a row of port in.
func (o Op) NeedsKey() bool { return shapes[o].key }

// NeedsRow is described with NeedsKey.
func (o Op) NeedsRow() bool { return shapes[o].row }

// Pairs is the index of the map whose keys are pairs.
const Pairs = 2

// Kinds of fault, of the first operand modulo 16.
const (
	FaultError    = 0 // to 3
	FaultPanic    = 4 // and 5
	FaultLoop     = 6
	FaultAllocate = 7
	FaultNone     = 8 // to 15
)

// The bits of a scan's mode.
const (
	ScanDescending = 1
	ScanRange      = 2 // and 3
	ScanDeletes    = 1 // these of mode >> 2 & 3
	ScanClears     = 2
	ScanAdds       = 3
)

// Command is a command with its operands: those that it has.
type Command struct {
	Op      Op
	Index   int // of a value, list, map, timer name or level
	Byte    byte
	Number  int64
	Real    float64
	Time    int64
	Text    string // a text, a tag
	Key     MapKey
	High    MapKey // of a range, whose low end is Key
	Record  Record
	Program []byte
	Bytes   []byte // all of it
}

// MapKey is the key of an entry: Text, and the rest for pairs.
type MapKey struct {
	Small  int16
	Amount Decimal
	Flag   bool
	Day    int32
	At     int64
	Text   string
}

// Numbers, Reals, Times, Decimals and Symbols are the tables that operands choose from.
var (
	Numbers = [16]int64{math.MinInt64, math.MaxInt64, -1<<53 - 1, 1<<53 + 1, -1 << 32, 1<<32 - 1, math.MinInt32, math.MaxInt32,
		math.MinInt32 - 1, 1 << 31, math.MinInt16, math.MaxInt16, 1 << 15, math.MinInt8, math.MaxInt8, 128}
	Reals = [16]float64{math.NaN(), math.Inf(1), math.Inf(-1), math.Copysign(0, -1), 0x1p-149, -0x1p-149, 0x1p-126, math.MaxFloat32,
		-math.MaxFloat32, 1 << 24, 0.5, -1.5, 1024.25, 0x1p100, -0x1p100, 0x1p-100}
	Times = [16]int64{math.MinInt64, math.MinInt64 + 1, math.MaxInt64 - 1, math.MaxInt64, -1, -2, -1000000, 240, 256, 300, 500, 1000,
		1000000, 1 << 31, 1<<53 + 1, 253402300800000000}
	Decimals = [16]Decimal{
		wide("99999999999999999999"), wide("-99999999999999999999"), wide("9223372036854775807"), wide("9223372036854775808"),
		wide("-9223372036854775808"), wide("-9223372036854775809"), wide("18446744073709551615"), wide("18446744073709551616"),
		wide("-18446744073709551616"), wide("-18446744073709551617"), wide("10000000000000000000"), wide("-10000000000000000000"),
		wide("10000"), wide("-10000"), wide("4294967296"), wide("-4294967296"),
	}
	Symbols = [16]string{"a", "b", "c", "z", "A", "0", " ", "\x00", "é", "ß", "中", "😀", "\n", `"`, "\x7f", "\ue000"}
)

// TimerNames are the names of timers in the order of their declaration.
var TimerNames = [8]string{"event", "event_many", "event_drop", "event_many_drop", "clock", "clock_many", "clock_drop", "clock_many_drop"}

// The bits of a timer name's index.
const (
	TimerMany  = 1
	TimerDrop  = 2
	TimerClock = 4
)
