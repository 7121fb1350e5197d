package conformance

import (
	"fmt"
	"maps"
	"math"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"github.com/tidemill/tidemill/abi"
	"github.com/tidemill/tidemill/abi/conformance/model"
	"github.com/tidemill/tidemill/abi/conformance/program"
)

// Expected is what a case must show by a plan.
type Expected struct {
	model  *model.Model
	states [][]string
	// stopped: an item was refused, and the job ended with it. Where that was a timer, what other keys had done by then is open.
	stopped, open bool
}

// Expect runs a case on the model.
func Expect(c *program.Case, plan *Plan) *Expected {
	m := model.New(c)
	e := &Expected{model: m}
	epoch, pos := 0, int64(0)
	m.Subtasks = plan.Subtasks[0]
	for i := range c.Steps {
		s := &c.Steps[i]
		refused := false
		switch s.Kind {
		case program.Row:
			refused = m.Row(s, pos)
			pos++
		case program.Watermark:
			refused = m.Advance(s.To)
		case program.Tick:
			refused = m.Tick(s.To)
		case program.Checkpoint:
			if e.states = append(e.states, m.State()); plan.Restore {
				epoch++
				m.Subtasks = plan.Subtasks[epoch%len(plan.Subtasks)]
			}
		}
		if e.stopped = refused && plan.Stop; e.stopped || m.Failed {
			e.open = s.Kind != program.Row
			return e
		}
	}
	if refused := m.Advance(model.EndOfTime); refused && plan.Stop {
		e.stopped, e.open = true, true
		return e
	}
	if !m.Failed {
		m.End()
	}
	e.states = append(e.states, m.State())
	return e
}

// Difference is the first difference between what was expected and what a run has shown, for people; empty where there is none.
func (e *Expected) Difference(s *Seen, plan *Plan) string {
	if s.Stopped != e.stopped {
		return fmt.Sprintf("the job stopped: %v, want %v", s.Stopped, e.stopped)
	}
	if failed := e.model.Failed && !e.stopped; failed || s.Failed {
		if !failed || !s.Failed {
			return fmt.Sprintf("a callback ended the job: %v, want %v", s.Failed, failed)
		}
		return ""
	}
	if e.open {
		return e.someRefusal(s)
	}
	for _, part := range []string{
		lists("port ", s.Rows, e.model.Rows), e.refusals(s), e.checkpoints(s), e.metrics(s, plan),
	} {
		if part != "" {
			return part
		}
	}
	return ""
}

// lists compares lists by name.
func lists(what string, got, want map[string][]string) string {
	for _, name := range slices.Sorted(maps.Keys(want)) {
		if d := list(got[name], want[name]); d != "" {
			return what + name + ": " + d
		}
	}
	for _, name := range slices.Sorted(maps.Keys(got)) {
		if _, found := want[name]; !found {
			return what + name + ": " + list(got[name], nil)
		}
	}
	return ""
}

// list is the first difference of two lists.
func list(got, want []string) string {
	for i := range max(len(got), len(want)) {
		g, w := "nothing", "nothing"
		if i < len(got) {
			g = got[i]
		}
		if i < len(want) {
			w = want[i]
		}
		if g != w {
			return fmt.Sprintf("entry %d is\n  %s\nwant\n  %s", i, short(g), short(w))
		}
	}
	return ""
}

func short(line string) string {
	if len(line) > 600 {
		return line[:600] + "..."
	}
	return line
}

func itemOf(r *model.Rejection) string {
	if r.Pos >= 0 {
		return rowItem(r.Pos)
	}
	return timerItem(r.Timer, r.Time, r.Tag)
}

// says is whether a cause is that of a rejection: an error has the operator's message, with its place in the code and the record, where
// they are told, at the end of the first line.
func says(cause string, r *model.Rejection) bool {
	message := abi.CleanText([]byte(r.Message))
	line, _, _ := strings.Cut(message, "\n")
	told := regexp.QuoteMeta(line) + `(?: \([\w.]+:\d+\))?(?:, of the record \{[^\n]*)?` + regexp.QuoteMeta(message[len(line):])
	return r.Fault != program.FaultError || regexp.MustCompile(told).MatchString(cause)
}

func (e *Expected) refusals(s *Seen) string {
	got, want := map[string][]string{}, map[string][]string{}
	for key, list := range e.model.Rejected {
		for i := range list {
			want[key] = append(want[key], itemOf(&list[i]))
			if i < len(s.Rejected[key]) && !says(s.Rejected[key][i].cause, &list[i]) {
				return fmt.Sprintf("%s was refused with\n  %s\nwant in it\n  %s", itemOf(&list[i]), short(s.Rejected[key][i].cause), short(list[i].Message))
			}
		}
	}
	for key, list := range s.Rejected {
		for _, r := range list {
			got[key] = append(got[key], r.item)
		}
	}
	if d := lists("refused items of ", got, want); d != "" {
		for _, list := range s.Rejected {
			for _, r := range list {
				d += "\n(" + r.item + ": " + short(r.cause) + ")"
			}
		}
		return d
	}
	return ""
}

// someRefusal is the comparison where a timer stopped the job: which of several is open.
func (e *Expected) someRefusal(s *Seen) string {
	for key, list := range s.Rejected {
		for _, got := range list {
			for _, want := range e.model.Rejected[key] {
				if got.item == itemOf(&want) && says(got.cause, &want) {
					return ""
				}
			}
		}
	}
	return fmt.Sprintf("the job stopped for %v, want one of %v", s.Rejected, e.model.Rejected)
}

func (e *Expected) checkpoints(s *Seen) string {
	for i := range min(len(e.states), len(s.States)) {
		if d := list(s.States[i], e.states[i]); d != "" {
			return fmt.Sprintf("state at checkpoint %d: %s", i, d)
		}
	}
	if len(e.states) != len(s.States) {
		return fmt.Sprintf("%d checkpoints, want %d", len(s.States), len(e.states))
	}
	return ""
}

// metrics compares the log and, where no steps were lost, the metrics.
func (e *Expected) metrics(s *Seen, plan *Plan) string {
	if !reflect.DeepEqual(s.Logged, e.model.Logged) {
		return fmt.Sprintf("the log has %v, want %v", s.Logged, e.model.Logged)
	}
	if plan.Rollback > 0 {
		return ""
	}
	if s.Counted != e.model.Counted {
		return fmt.Sprintf("the counter is %d, want %d", s.Counted, e.model.Counted)
	}
	if plan.Restore {
		return "" // each subtask of each epoch has a gauge of its own
	}
	for got := range s.Gauged {
		if got == 0 || math.IsNaN(got) {
			continue // also that of a subtask that never set it
		}
		if !slices.Contains(slices.Collect(maps.Values(e.model.Gauged)), got) {
			return fmt.Sprintf("the gauge is %v, want one of %v", got, e.model.Gauged)
		}
	}
	return ""
}
