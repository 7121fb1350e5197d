// Package abi is the contract between the host and a guest module, host side: the frame codec and the complete validation of
// what a guest answers. SPEC.md in this folder is the normative text; the constants here are its numbers, from which abigen
// makes the bindings of every SDK.
//
// The package imports the standard library only and does no I/O. Encoders write into memory that the caller gives (a view of
// guest memory); decoders return views of the bytes they were given.
package abi

// Version is the version of the contract; a module exports a marker function MarkerPrefix + Version.
const (
	Version      = 1
	MarkerPrefix = "tidemill_abi_"
	ImportModule = "tidemill_v1"
)

// Names of the exports.
const (
	ExportMemory   = "memory"
	ExportDescribe = "tidemill_describe"
	ExportOpen     = "tidemill_open"
	ExportReserve  = "tidemill_reserve"
	ExportProcess  = "tidemill_process"
)

// Frame header: 40 bytes at the start of every frame, little-endian as everything.
//
//	0 magic "TMF1"   4 u16 version   6 u16 kind   8 u32 total length   12 u32 sections   16 u64 sequence
//	24 u32 slot   28 u32 flags   32 u64 zero
const (
	Magic      = "TMF1"
	HeaderSize = 40
)

// Kind is the kind of a frame; an answer echoes it.
type Kind uint16

// Kinds of frames. Aggregate and Migrate are specified and reserved.
const (
	KindBatch     Kind = 1
	KindTimers    Kind = 2
	KindWatermark Kind = 3
	KindEnd       Kind = 4
	KindAggregate Kind = 5 // reserved
	KindMigrate   Kind = 6 // reserved
)

// FlagAbsolute, in an answer's header flags: buffer offsets of column nodes are addresses in guest memory, not offsets in the
// frame; each is a multiple of its value's width. The offsets of a section's own arrays (item_of, key index, ...) stay in the frame.
const FlagAbsolute uint32 = 1

// Section table: 16 bytes an entry, directly after the header.
//
//	0 u16 id   2 u16 index   4 u32 flags (bit 0: must understand)   8 u32 offset in the frame, 8-aligned at least   12 u32 length
//
// Every offset in a section counts from the start of the frame and leads into the section. Column buffers are 16-aligned, arrays
// that a section's header names are aligned to their element. The frame itself is 16-aligned in guest memory.
const (
	SectionEntrySize      = 16
	FlagMustUnderstand    = 1
	BufferAlign           = 16
	SectionsMax           = 1024
	FramePrefetchBytesMax = 64 << 10 // prefetch_bytes: a cell over it is answered "ask"
)

// SectionID names a section. Index is the output port for an answer's BATCH and the state id for STATE, else 0.
type SectionID uint16

// Sections. The same id is used both ways.
const (
	SectionContext   SectionID = 1
	SectionBatch     SectionID = 2
	SectionKeys      SectionID = 3
	SectionState     SectionID = 4
	SectionTimers    SectionID = 5
	SectionConsumed  SectionID = 6
	SectionWatermark SectionID = 7 // reserved: operator-declared watermarks
	SectionMetrics   SectionID = 8
	SectionError     SectionID = 9
	SectionMerge     SectionID = 10 // reserved: aggregate functions
)

// CONTEXT, 32 bytes: 0 i64 watermark us, 8 i64 processing time us, 16 u64 seed, 24 u16 input port, 26 u16 zero, 28 u32 zero.
const (
	ContextSize           = 32
	WatermarkNone   int64 = -1 << 63
	WatermarkEnd    int64 = 1<<63 - 1
	NoPort                = 0xFFFF // the input port of TIMERS, WATERMARK and END frames
	ItemNone              = 0xFFFFFFFF
	OperatorKeyNone       = 0xFFFFFFFF // the key index of operator-scope state (reserved)
)

// Column node: 40 bytes, a depth-first run of them per column set.
//
//	0 u16 type   2 u16 flags   4 u32 length (rows)   8 u32 null count   12 u32 children (1 for a list, whose elements' node follows, else 0)
//	16 u32 validity offset  20 u32 validity length   24 u32 offsets offset  28 u32 offsets length   32 u32 values offset  36 u32 values length
//
// Offsets count from the start of the frame (or block, or are addresses with FlagAbsolute). A buffer of length 0 is absent: no
// validity means that no row is null. In an answer a node with NodeInput or NodeKey has no buffers; its values offset holds the
// index of the input column (of the port's whole schema, read by the guest or not) or of the key column that it passes through.
const (
	NodeSize  = 40
	NodeInput = 1
	NodeKey   = 2
)

// Type is the type of a column. The number is that of the wire and of the host's state at rest.
type Type uint32

// Column types: width in bytes of a value in the values buffer, bool being one bit.
const (
	Bool        Type = 1
	I8          Type = 2
	I16         Type = 3
	I32         Type = 4
	I64         Type = 5
	F32         Type = 6
	F64         Type = 7
	Decimal128  Type = 8  // the number without its point, 16 bytes in two's complement; its declared type has the digits
	Date32      Type = 9  // days since 1970-01-01, i32
	Time64      Type = 10 // reserved: us since midnight, i64
	Timestamp   Type = 11 // us since 1970-01-01T00:00:00 without zone, i64
	TimestampTZ Type = 12 // us since 1970-01-01T00:00:00Z, i64
	UTF8        Type = 13 // i32 offsets + bytes
	Binary      Type = 14 // i32 offsets + bytes
	List        Type = 15 // i32 offsets that count elements, which are the child
	Struct      Type = 16 // reserved
	Map         Type = 17 // reserved
	FixedBinary Type = 18 // reserved
	Dictionary  Type = 19 // reserved
)

// BATCH, 32 bytes, then the nodes, then the buffers.
//
//	0 u32 rows   4 u32 columns   8 u32 nodes   12 u32 flags
//	16 u32 item_of offset (u32[rows], answers only)   20 u32 event time offset (i64[rows])   24 u32 row kinds offset (u8[rows])   28 u32 zero
const (
	BatchSize           = 32
	BatchIdentity       = 1 // answers: item_of is omitted, row i belongs to item i, rows = items consumed
	BatchEventTime      = 2 // the event time array is present
	BatchKinds          = 4 // the row kind array is present
	BatchInheritKinds   = 8 // answers: row kinds are those of the items
	RowKindInsert       = 0
	RowKindUpdateBefore = 1
	RowKindUpdateAfter  = 2
	RowKindDelete       = 3
)

// KEYS, 32 bytes, then the nodes of the key columns (one row a distinct key, in first-appearance order), then buffers.
//
//	0 u32 items   4 u32 keys   8 u32 columns   12 u32 nodes (0 where the port said needs_key: false)   16 u32 key_of offset (u32[items])   20 u32[3] zero
const KeysSize = 32

// STATE in (index = state id), 32 bytes, nodes, buffers.
//
//	0 u32 keys   4 u32 kind   8 u32 columns   12 u32 nodes   16 u32 status offset (u8[keys])   20 u32 start offset (u32[keys+1], list and map)   24 u32 entries   28 u32 zero
//
// A value state has one row a key in its columns (null or zero where not inline); a list or map has its entries in columns, the
// map key's columns first, and entries start[k]..start[k+1] belong to key k.
//
// STATE out: 0 u32 changes   4 u32 kind   8 u32 columns   12 u32 nodes   16 u32 key index offset (u32[changes])   20 u32 op offset (u8[changes])   24 u32[2] zero.
// Columns have one row a change (map key columns first); rows of CLEAR are ignored but for the map key.
const StateSize = 32

// StateKind is the shape of a state.
type StateKind uint32

// Kinds of state.
const (
	StateValue StateKind = 1
	StateList  StateKind = 2
	StateMap   StateKind = 3
)

// Status of a key's cell in a STATE section of an input frame.
const (
	StatusAbsent = 0
	StatusInline = 1
	StatusAsk    = 2
)

// Operations of a STATE section of an answer.
const (
	OpSet      = 1 // value: the cell; map: the entry
	OpClear    = 2 // value: the cell; list: all of it; map: the entry
	OpAppend   = 3 // list
	OpClearAll = 4 // map
)

// TIMERS, 48 bytes then the arrays; n entries.
//
//	0 u32 n   4 u32 zero   8 u32 key offset (u32[n])   12 u32 name offset (u16[n])   16 u32 domain offset (u8[n])   20 u32 op offset (u8[n], answers only)
//	24 u32 time offset (i64[n])   28 u32 tag offsets offset (u32[n+1])   32 u32 tags offset   36 u32 tags length   40 u64 zero
const (
	TimersSize       = 48
	DomainEvent      = 0
	DomainProcessing = 1
	TimerSet         = 1
	TimerDelete      = 2 // one: (domain, name, tag), of a `many` name (domain, name, tag, time)
	TimerDeleteTag   = 3 // all of (domain, name, tag)
	TimerDeleteKey   = 4 // all timers of the key, both domains
	TagBytesMax      = 256
)

// CONSUMED: u32 items (>= 1), u32 zero.
const ConsumedSize = 8

// METRICS: u32 n, u32 zero, then n entries of 16 bytes: u16 metric id, u16 zero, u32 zero, 8 bytes value (counter: u64 to add; gauge: f64 to set).
const (
	MetricsSize     = 8
	MetricEntrySize = 16
	MetricCounter   = "counter"
	MetricGauge     = "gauge"
)

// ERROR: u32 code, i32 item (-1: unknown), u32 message length, u32 place length, then the bytes of both, utf8.
const (
	ErrorSize           = 16
	ErrorMessageBytes   = 4 << 10
	ErrorCodeUser       = 1 // the operator returned an error
	ErrorCodeLimit      = 2 // one item alone exceeds a limit of the contract
	ErrorCodeUnexpected = 3 // the SDK cannot read the frame
)

// Fault cell, 20 bytes at the address that open's answer names: 0 u32 item under way, 4 u32 message address, 8 u32 message
// length, 12 u32 place address, 16 u32 place length.
const FaultCellSize = 20

// Rows block: what state_get and state_scan_next fill and what map keys and scan bounds are given in. 16 bytes: 0 u32 rows,
// 4 u32 columns, 8 u32 nodes, 12 u32 total length; nodes; buffers. Offsets count from the start of the block.
//
// state_get: a value cell is one row of its columns; a map entry (mapkey = block of one row) one row of the value columns; a
// list all its elements. state_scan_next: rows of map key columns, then value columns; a block of 0 rows ends the scan; returns
// the length written, or -(length needed) where not even one entry fits. Bounds: a block of one row a bound present, low first.
const (
	BlockSize      = 16
	ScanDescending = 1
	ScanLow        = 2 // bounds has an inclusive low row
	ScanHigh       = 4 // bounds has an exclusive high row
)

// Limits that a job or tenant may lower.
const (
	FrameInAimBytes      = 4 << 20
	FrameBytesMax        = 16 << 20
	RowsMax              = 4096
	CellBytesMax         = 1 << 20
	KeyBytesMax          = 64 << 10
	StatesMax            = 64
	TimerNamesMax        = 64
	TimerRoundsMax       = 10_000
	ModuleBytesMax       = 64 << 20
	MemoryBytesMax       = 64 << 20
	StackCallsMax        = 10_000
	StackBytesMax        = 1 << 20
	TableElementsMax     = 100_000
	DescriptorBytesMax   = 1 << 20
	LogLineBytesMax      = 8 << 10
	MetricsMax           = 256
	OutputPortsMax       = 64
	InputPortsMax        = 16
	ColumnsMax           = 1024
	NameBytesMax         = 128
	MemoryBytesMaxPython = 256 << 20
)
