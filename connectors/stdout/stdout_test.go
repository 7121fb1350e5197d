package stdout

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/tidemill/tidemill/connectors"
	"github.com/tidemill/tidemill/connectors/spec"
	"github.com/tidemill/tidemill/internal/errcode"
	"github.com/tidemill/tidemill/runtime/record"
)

var schema = &record.Schema{Fields: []record.Field{{Name: "text", Type: record.UTF8}}}

func newSink(env connectors.Env) (connectors.Sink, error) {
	return connectors.LookupSink("stdout").New(context.Background(), env, spec.Values{})
}

func batch(text string, n int) *record.Batch {
	b := record.NewBatch(schema, n)
	for range n {
		b.Columns[0].AppendString(text)
	}
	b.Rows = n
	return b
}

func TestWithoutStandardOutput(t *testing.T) {
	if _, err := newSink(connectors.Env{Name: "out"}); !errcode.Is(err, ErrTaken) {
		t.Errorf("%v", err)
	}
}

type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, syscall.EPIPE }

func TestBrokenPipe(t *testing.T) {
	s, err := newSink(connectors.Env{Stdout: broken{}})
	if err != nil {
		t.Fatal(err)
	}
	w, _ := s.Writer(context.Background(), 0, schema, nil)
	if err := w.Write(batch("x", 1)); !errcode.Is(err, ErrPrint) || !errors.Is(err, syscall.EPIPE) || errcode.Of(err).Hint == "" {
		t.Errorf("%v", err)
	}
}

// Lines of several subtasks do not run into each other, also where a batch is larger than the buffer.
func TestLinesStayWhole(t *testing.T) {
	var out bytes.Buffer // which the sink's own lock must protect
	s, err := newSink(connectors.Env{Stdout: &out})
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for i := range 3 {
		w, err := s.Writer(context.Background(), i, schema, nil)
		if err != nil {
			t.Fatal(err)
		}
		all.Go(func() {
			for range 20 {
				if err := w.Write(batch(strings.Repeat(fmt.Sprint(i), 1000), 100)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	lines := 0
	for line := range strings.Lines(out.String()) {
		if i := line[len(`{"text":"`)]; line != `{"text":"`+strings.Repeat(string(i), 1000)+"\"}\n" {
			t.Fatalf("a line is %q", line)
		}
		lines++
	}
	if lines != 6000 {
		t.Errorf("%d lines", lines)
	}
}
