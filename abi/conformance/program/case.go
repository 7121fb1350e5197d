package program

import (
	"fmt"
	"strings"
)

// Case is what happens to an operator: programs for its callbacks, and steps, after which the input ends.
//
// A case has a form in bytes, in which every string of bytes is a case:
//
//	case       byte n, n bytes: on_watermark; byte n, n bytes: on_end; then steps to the end
//	step       byte mod 8: 0 to 4 row, 5 watermark, 6 tick, 7 checkpoint
//	row        byte b: key KEYS[b mod 6], port more where b >> 4 is a multiple of 4 and not 0, else in; byte: event time; record;
//	           byte u: unread is null where u mod 4 is 0, else the symbol u >> 4; byte n, n bytes: the program
//	watermark  byte d: event time goes on by 1 + d mod 64 us
//	tick       byte d, n = 1 + d mod 64: processing time goes on by n us where d < 64, else by n times 50 ms: less 1 us where d is
//	           128 to 191. What a cell has to live is a multiple of 50 ms
type Case struct {
	OnWatermark, OnEnd []byte
	Steps              []Step
}

// Kind says what a step is.
type Kind int

// The kinds of step.
const (
	Row Kind = iota
	Watermark
	Tick
	Checkpoint
)

// Key is a key of the input.
type Key struct {
	K Value // utf8
	G int64
}

// String is the key as results are filed under it.
func (k Key) String() string { return fmt.Sprintf("%s/%d", k.K.Format(UTF8), k.G) }

// Keys are those that rows choose from.
var Keys = [6]Key{
	{Null, 0}, {Text(""), 0}, {Text("a"), 0}, {Text("a"), 1}, {Text("é\x00"), -5}, {Text("zebra"), 1<<63 - 1},
}

// Step is a row, or an advance of watermark or processing time to To, or a checkpoint.
type Step struct {
	Kind      Kind
	To        int64 // Watermark, Tick
	Key       Key
	More      bool // the row is one of port more
	EventTime int64
	Record    Record
	Unread    Value
	Program   []byte

	head []byte // the step's bytes, but for the program and its length
}

// FirstTick is the processing time, in us, at which a case begins.
const FirstTick = 1

// ParseCase reads a case.
func ParseCase(data []byte) Case {
	r := NewReader(data)
	c := Case{OnWatermark: r.take(int(r.Byte())), OnEnd: r.take(int(r.Byte()))}
	watermark, now := int64(-1), int64(FirstTick)
	for r.Left() > 0 {
		from := r.rest
		s := Step{}
		switch kind := r.Byte() % 8; kind {
		case 5:
			watermark += 1 + int64(r.Byte()%64)
			s.Kind, s.To = Watermark, watermark
		case 6:
			now += r.tick()
			s.Kind, s.To = Tick, now
		case 7:
			s.Kind = Checkpoint
		default:
			r.row(&s)
		}
		s.head = append(from[:len(from)-r.Left():len(from)-r.Left()], make([]byte, r.past)...)
		if s.Kind == Row {
			s.Program = r.take(int(r.Byte()))
		}
		c.Steps = append(c.Steps, s)
	}
	return c
}

// tick is how far processing time goes on, in us.
func (r *Reader) tick() int64 {
	const long = 50_000
	d := r.Byte()
	n := 1 + int64(d%64)
	switch d / 64 {
	case 0:
		return n
	case 2:
		return n*long - 1
	}
	return n * long
}

func (r *Reader) row(s *Step) {
	b := r.Byte()
	s.Key = Keys[b%byte(len(Keys))]
	s.More = b>>4 != 0 && b>>4%4 == 0
	s.EventTime = int64(r.Byte())
	s.Record = r.Record()
	s.Unread = Null
	if u := r.Byte(); u%4 != 0 {
		s.Unread = Text(Symbols[u>>4])
	}
}

// Bytes is the case's form in bytes.
func (c *Case) Bytes() []byte {
	b := appendProgram(appendProgram(nil, c.OnWatermark), c.OnEnd)
	for i := range c.Steps {
		b = append(b, c.Steps[i].head...)
		if c.Steps[i].Kind == Row {
			b = appendProgram(b, c.Steps[i].Program)
		}
	}
	return b
}

func appendProgram(b, program []byte) []byte {
	return append(append(b, byte(len(program))), program...)
}

// String writes the case for people, a step a line.
func (c *Case) String() string {
	var b strings.Builder
	for _, p := range []struct {
		name    string
		program []byte
	}{{"on_watermark", c.OnWatermark}, {"on_end", c.OnEnd}} {
		if len(p.program) > 0 {
			fmt.Fprintf(&b, "%s: %s\n", p.name, Format(p.program))
		}
	}
	row := 0
	for i := range c.Steps {
		s := &c.Steps[i]
		switch s.Kind {
		case Watermark:
			fmt.Fprintf(&b, "watermark %d\n", s.To)
		case Tick:
			fmt.Fprintf(&b, "tick %d\n", s.To)
		case Checkpoint:
			b.WriteString("checkpoint\n")
		default:
			port := "in"
			if s.More {
				port = "more"
			}
			b.WriteString(short(fmt.Sprintf("row %d: %s key %v time %d %v: %s", row, port, s.Key, s.EventTime, s.Record, Format(s.Program))) + "\n")
			row++
		}
	}
	return b.String()
}

// lineMax is where lines for people end: texts may be long.
const lineMax = 1000

func short(line string) string {
	if len(line) <= lineMax {
		return line
	}
	return strings.ToValidUTF8(line[:lineMax], "") + "..."
}
