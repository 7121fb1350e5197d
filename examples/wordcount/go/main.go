// Command wordcount has two operators: split makes words of lines, count, keyed by word, says at the end of the input how often
// each was there. It is built to WebAssembly with `tidemill build`.
package main

import (
	"github.com/tidemill/tidemill/sdk-go/operator"
	"github.com/tidemill/tidemill/sdk-go/state"
)

func init() {
	operator.FlatMap("split", split)
	operator.Register[count]("count", "Counts the occurrences of each word.")
}

func main() {}

type line struct {
	Text string `tm:"text"`
}

type word struct {
	Word string `tm:"word"`
}

// split emits the words of a line: runs of letters, in lower case. Letters are those of ASCII and every byte beyond it, so that
// a word with an accent stays whole.
func split(l *line, out *operator.Out[word]) error {
	lower := make([]byte, 0, len(l.Text))
	for i := range len(l.Text) + 1 {
		switch c := byteAt(l.Text, i); {
		case 'A' <= c && c <= 'Z':
			lower = append(lower, c-'A'+'a')
		case 'a' <= c && c <= 'z', c >= 0x80:
			lower = append(lower, c)
		case len(lower) > 0:
			out.Emit(word{string(lower)})
			lower = lower[:0]
		}
	}
	return nil
}

// byteAt is a byte of a text, or a space behind its end.
func byteAt(text string, i int) byte {
	if i < len(text) {
		return text[i]
	}
	return ' '
}

// total is a row of port counts.
type total struct {
	operator.FromKey
	Count int64 `tm:"count"`
}

type count struct {
	In    operator.In[struct{}] `tm:"in"`
	Out   operator.Out[total]   `tm:"counts"`
	Count state.Value[int64]    `tm:"count"`
	Done  operator.Timer        `tm:"done" doc:"the end of the input"`
}

// Open attaches the handlers.
func (c *count) Open() error {
	c.In.OnRow(c.onWord)
	c.Done.OnFire(c.onDone)
	return nil
}

func (c *count) onWord(*struct{}) error {
	if !c.Count.Has() {
		c.Done.Set(operator.EndOfTime) // event time is at the end of the input
	}
	*c.Count.Edit()++
	return nil
}

func (c *count) onDone(operator.Fired) error {
	c.Out.Emit(total{Count: c.Count.Get()})
	return nil
}
