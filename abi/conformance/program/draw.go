package program

import "math/rand/v2"

// Weights say how often each command is drawn.
type Weights [ops]int

// Usual draws a bit of everything, and a fault in every hundredth command.
var Usual = Weights{
	Values: 3, Echo: 2, Pass: 3, Due: 2, Draw: 1, Clock: 3,
	ValueGet: 6, ValueSet: 6, ValueAdd: 3, ValueClear: 2,
	ListAll: 4, ListLen: 2, ListAppend: 8, ListClear: 2,
	MapGet: 6, MapSet: 12, MapAdd: 4, MapDelete: 4, MapClear: 1, MapScan: 8,
	TimerSet: 10, TimerDelete: 2, TimerDeleteAt: 2,
	Log: 1, Count: 1, Gauge: 1, Fault: 1, Repeat: 2,
}

// Drawing is what DrawCase draws.
type Drawing struct {
	Weights  Weights
	Steps    int  // at most
	Commands int  // of a program, at most
	Large    int  // one in so many texts and lists is long; 0 for none
	Expiring bool // processing time moves often, and far enough for cells to expire, and half of what is chosen expires
}

// drawer draws programs.
type drawer struct {
	rng *rand.Rand
	Drawing
	total int  // of the weights
	keys  int  // that rows choose from
	often int  // three in so many steps move time, and one is a checkpoint
	slow  bool // processing time goes on by 50 ms and more, so that cells expire
	more  int  // one in so many rows is of port more
}

// DrawCase draws a case.
func DrawCase(rng *rand.Rand, what Drawing) Case {
	d := &drawer{rng: rng, Drawing: what, keys: 1 + rng.IntN(len(Keys)), often: 8 << rng.IntN(5), more: 2 << rng.IntN(7)}
	if d.slow = what.Expiring || rng.IntN(2) == 0; what.Expiring {
		d.keys = 1 + rng.IntN(2)
	}
	d.swarm()
	var b []byte
	for range 2 {
		var callback []byte
		if rng.IntN(3) == 0 {
			callback = d.callback()
		}
		b = appendProgram(b, callback)
	}
	for range 1 + rng.IntN(what.Steps) {
		b = d.step(b)
	}
	return ParseCase(b)
}

// swarm leaves out half of the commands and makes some of the others more frequent: cases of few commands and keys find what cases of
// all cannot, because what belongs together meets.
func (d *drawer) swarm() {
	given := d.Weights
	for d.total == 0 {
		for op, weight := range given {
			d.Weights[op] = weight * d.rng.IntN(2) * (1 + d.rng.IntN(4))
			d.total += d.Weights[op]
		}
	}
}

// callback draws a program that does not fail: that would end the job.
func (d *drawer) callback() []byte {
	var b []byte
	for range 1 + d.rng.IntN(3) {
		b = d.command(b, []Op{Values, Clock, Draw, Log, Count, ValueSet}[d.rng.IntN(6)], 0)
	}
	return b
}

func (d *drawer) step(b []byte) []byte {
	if d.Expiring && d.rng.IntN(4) == 0 {
		return append(b, 6, d.tick())
	}
	switch d.rng.IntN(d.often) {
	case 0, 1:
		return append(b, 5, byte(d.rng.IntN(24)))
	case 2:
		return append(b, 6, d.tick())
	case 3:
		if b = append(b, 7); d.rng.IntN(2) == 0 {
			b = append(b, 6, d.tick()) // a restore takes that long
		}
		return b
	}
	port := byte(0)
	if d.rng.IntN(d.more) == 0 {
		port = 4 << 4
	}
	key := byte(len(Keys)) - port%byte(len(Keys)) + byte(d.rng.IntN(d.keys))
	b = append(b, 0, port+key, byte(d.rng.IntN(200)))
	b = d.record(b)
	b = append(b, byte(d.rng.IntN(256)))
	return appendProgram(b, d.program(d.Commands, 255))
}

// tick draws the byte of a tick: in a slow case most often 50 to 300 ms, what the states with a time to live have, and now and then
// just before such a time or just after.
func (d *drawer) tick() byte {
	if !d.slow {
		return byte(d.rng.IntN(24))
	}
	return []byte{0, 1 << 6, 1 << 6, 1 << 6, 2 << 6}[d.rng.IntN(5)] + byte(d.rng.IntN([]int{2, 6, 24}[d.rng.IntN(3)]))
}

// program draws a program of at most so many commands and bytes.
func (d *drawer) program(commands, bytes int) []byte {
	var b []byte
	for range d.rng.IntN(commands + 1) {
		n := d.rng.IntN(d.total)
		op := Op(0)
		for n >= d.Weights[op] {
			n -= d.Weights[op]
			op++
		}
		next := d.command(b, op, commands/2)
		if len(next) > bytes {
			break
		}
		b = next
	}
	return b
}

// command draws the operands of a command. Programs in it have at most so many commands.
func (d *drawer) command(b []byte, op Op, commands int) []byte {
	b = append(b, byte(op))
	index := 0
	for _, operand := range shapes[op].operands {
		switch operand {
		case 'x':
			b = d.text(b)
		case 'w':
			b = append(b, 1, byte(d.rng.IntN(3)))
		case 'r':
			b = d.record(b)
		case 'k':
			b = d.mapKey(b, index)
		case 's':
			mode := byte(d.rng.IntN(256))
			if d.rng.IntN(2) == 0 {
				mode &= 3
			}
			if b = append(b, mode); mode&3 >= ScanRange {
				b = d.mapKey(d.mapKey(b, index), index)
			}
		case 'p':
			b = appendProgram(b, d.program(commands, 80))
		case 'n', 'f', 't':
			b = append(b, d.number())
		case 'b':
			b = append(b, byte(d.rng.IntN(256)))
		default:
			n := byte(d.rng.IntN(256))
			if of := byte(operand - '0'); d.Expiring && of <= 4 && d.rng.IntN(2) == 0 {
				n = of - 1 // brief, fading, mist
			}
			index = int(n) % int(operand-'0')
			b = append(b, n)
		}
	}
	return b
}

// number draws the byte of a number or time: one in ten from a table.
func (d *drawer) number() byte {
	if d.rng.IntN(10) == 0 {
		return byte(240 + d.rng.IntN(16))
	}
	return byte(d.rng.IntN(240))
}

func (d *drawer) text(b []byte) []byte {
	b, n := d.count(b, 8)
	for range n {
		b = append(b, byte(d.rng.IntN(256)))
	}
	return b
}

// count draws the byte before a text or a list: fewer than so many parts, and all of them once or often.
func (d *drawer) count(b []byte, fewer int) ([]byte, int) {
	n := d.rng.IntN(fewer)
	c := byte(n)
	if d.Large > 0 && d.rng.IntN(d.Large) == 0 {
		c += repeatFrom
	}
	return append(b, c), n
}

func (d *drawer) list(b []byte, element Type) []byte {
	b, n := d.count(b, 4)
	for range n {
		if element == UTF8 {
			b = d.word(b)
		} else {
			b = append(b, d.number())
		}
	}
	return b
}

func (d *drawer) word(b []byte) []byte {
	n := d.rng.IntN(4)
	b = append(b, byte(n))
	for range n {
		b = append(b, byte(d.rng.IntN(256)))
	}
	return b
}

// mapKey draws one of few keys, so that entries meet.
func (d *drawer) mapKey(b []byte, index int) []byte {
	if index == Pairs {
		small := []byte{119, 120, 121, 240, 251}[d.rng.IntN(5)]
		amount := []byte{119, 120, 121, 241, 243, 245, 247, 249}[d.rng.IntN(8)]
		return append(b, small, amount, byte(d.rng.IntN(3))<<2|byte(d.rng.IntN(2)), 1, byte(d.rng.IntN(3)))
	}
	n := d.rng.IntN(3)
	b = append(b, byte(n))
	for range n {
		b = append(b, []byte{0, 1, 7, 11, 15}[d.rng.IntN(5)])
	}
	return b
}

func (d *drawer) record(b []byte) []byte {
	var mask uint16 // a field in four
	for i := range Fields {
		if d.rng.IntN(4) == 0 {
			mask |= 1 << i
		}
	}
	b = append(b, byte(mask), byte(mask>>8))
	for i, f := range Fields {
		if mask>>i&1 == 0 {
			continue
		}
		switch f.Type {
		case UTF8, Binary:
			b = d.text(b)
		case ListI64, ListUTF8:
			b = d.list(b, f.Type.Element())
		default:
			b = append(b, d.number())
		}
	}
	return b
}

// Drawings are what the driver draws by turns: short cases, where failures are easily found; long ones; ones with faults; ones in
// which lists grow and texts are long, so that state does not come with the frame; ones whose answers are much larger than their
// rows, so that guests end frames early; ones of few commands that belong together, in some of which time runs so that cells expire.
var Drawings = []Drawing{
	{Weights: Usual, Steps: 12, Commands: 6},
	{Weights: Usual, Steps: 120, Commands: 4},
	{Weights: faulty(), Steps: 40, Commands: 5},
	{Weights: growing(), Steps: 60, Commands: 8, Large: 2},
	{Weights: Weights{Values: 8, ListAll: 4, ListAppend: 4, MapSet: 2, MapScan: 2, TimerSet: 2, Repeat: 8}, Steps: 60, Commands: 4, Large: 1},
	{Weights: Weights{ValueGet: 4, ValueSet: 4, ValueAdd: 3, ValueClear: 3, ListAll: 5, ListLen: 3, ListAppend: 6, ListClear: 4}, Steps: 80, Commands: 8, Expiring: true},
	{Weights: Weights{MapGet: 3, MapSet: 8, MapAdd: 3, MapDelete: 3, MapClear: 1, MapScan: 6, Repeat: 1}, Steps: 80, Commands: 10, Expiring: true},
	{Weights: Weights{TimerSet: 10, TimerDelete: 2, TimerDeleteAt: 3, Clock: 3, Due: 1, ValueAdd: 1, MapScan: 1}, Steps: 60, Commands: 6},
	{Weights: expiring(), Steps: 160, Commands: 6, Expiring: true},
}

func faulty() Weights {
	w := Usual
	w[Fault] = 8
	return w
}

func expiring() Weights {
	return Weights{
		ValueGet: 6, ValueSet: 6, ValueAdd: 4, ValueClear: 1, ListAll: 6, ListLen: 4, ListAppend: 10, ListClear: 1,
		MapGet: 6, MapSet: 8, MapAdd: 4, MapDelete: 1, MapScan: 8, TimerSet: 6, Repeat: 1,
	}
}

func growing() Weights {
	w := Usual
	w[ListAppend], w[MapSet], w[Repeat], w[ListAll], w[ListClear], w[MapClear] = 30, 30, 12, 2, 0, 0
	return w
}
