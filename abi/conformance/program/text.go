package program

import (
	"fmt"
	"strconv"
	"strings"
)

// Names of what index operands choose from, by command.
var (
	valueNames = []string{"cell", "plain", "brief"}
	listNames  = []string{"items", "near", "fading"}
	mapNames   = []string{"words", "close", "pairs", "mist"}
	levelNames = []string{"trace", "debug", "info", "warn", "error"}
)

// Format writes a program for people, one command after another.
func Format(program []byte) string {
	var parts []string
	for r := NewReader(program); ; {
		c, ok := r.Next()
		if !ok {
			return strings.Join(parts, "; ")
		}
		parts = append(parts, c.String())
	}
}

// String writes the command with its operands.
func (c *Command) String() string {
	parts := []string{c.Op.String()}
	for _, operand := range shapes[c.Op].operands {
		parts = append(parts, c.operandText(operand))
	}
	return strings.Join(parts, " ")
}

func (c *Command) operandText(kind rune) string {
	switch kind {
	case 'b':
		if c.Op == Fault {
			return [...]string{"error", "error", "error", "error", "panic", "panic", "loop", "allocate",
				"none", "none", "none", "none", "none", "none", "none", "none"}[c.Byte%16]
		}
		return strconv.Itoa(int(c.Byte))
	case 'n':
		return strconv.FormatInt(c.Number, 10)
	case 'f':
		return Real(c.Real).Format(F64)
	case 't':
		return "at " + strconv.FormatInt(c.Time, 10)
	case 'x', 'w':
		return strconv.Quote(c.Text)
	case 'r':
		return c.Record.String()
	case 'k':
		return strconv.Quote(c.Key.Name(c.Index))
	case 's':
		text := fmt.Sprintf("mode %#02x", c.Byte)
		if c.Byte&3 >= ScanRange {
			text += fmt.Sprintf(" from %q to %q", c.Key.Name(c.Index), c.High.Name(c.Index))
		}
		return text
	case 'p':
		return "{" + Format(c.Program) + "}"
	}
	return c.indexName()
}

func (c *Command) indexName() string {
	switch {
	case c.Op >= ValueGet && c.Op <= ValueClear:
		return valueNames[c.Index]
	case c.Op >= ListAll && c.Op <= ListClear:
		return listNames[c.Index]
	case c.Op >= MapGet && c.Op <= MapScan:
		return mapNames[c.Index]
	case c.Op >= TimerSet && c.Op <= TimerDeleteAt:
		return TimerNames[c.Index]
	}
	return levelNames[c.Index]
}
