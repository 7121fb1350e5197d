// Package inspection asks a module what it holds and shows it, for the verb inspect. No record flows: each operator is opened once
// with its default parameters and the columns that it asks for, on an instance that is thrown away.
package inspection

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/tidemill/tidemill/abi"
	"github.com/tidemill/tidemill/internal/errcode"
	"github.com/tidemill/tidemill/runtime/cmd/tidemill/view"
	"github.com/tidemill/tidemill/runtime/plan"
	"github.com/tidemill/tidemill/runtime/sandbox"
	"github.com/tidemill/tidemill/runtime/sandbox/meter"
	"github.com/tidemill/tidemill/runtime/sandbox/modcache"
	"github.com/tidemill/tidemill/runtime/sandbox/wasm"
)

// Report is the result, as JSON.
type Report struct {
	File    string         `json:"file"`
	Digest  string         `json:"digest"` // sha256 of the file
	Bytes   int            `json:"bytes"`
	ABI     int            `json:"abi"`
	SDK     abi.SDK        `json:"sdk"`
	Entries []abi.Entry    `json:"entries"`
	Imports []string       `json:"imports"`
	Memory  string         `json:"memory"`
	Meter   meter.Report   `json:"meter"`
	Verdict string         `json:"verdict"`
	Base    string         `json:"base,omitempty"` // the interpreter that the module is code for
	Binding []EntryBinding `json:"bindings,omitempty"`
}

// EntryBinding is what an entry declares when it is opened with default parameters and the columns that it asks for.
type EntryBinding struct {
	Entry      string          `json:"entry"`
	Descriptor *abi.Descriptor `json:"descriptor,omitempty"`
	Refusal    string          `json:"refusal,omitempty"`
}

// Of inspects a loaded module; original is its bytes.
func Of(file string, original []byte, loaded *modcache.Module) (*Report, error) {
	m := sandbox.FromCache(loaded)
	described, err := sandbox.Describe(m, sandbox.Limits{})
	if err != nil {
		return nil, err
	}
	decoded, err := wasm.Decode(original)
	if err != nil {
		return nil, err
	}
	r := &Report{
		File: file, Digest: m.Digest, Bytes: len(original), ABI: described.ABI, SDK: described.SDK, Entries: described.Entries,
		Imports: importsOf(decoded), Memory: memoryOf(decoded), Meter: loaded.Report, Verdict: "keeps to the portable profile",
	}
	if loaded.Script != nil {
		r.Base = loaded.Script.Base.String()
	}
	for i := range described.Entries {
		r.Binding = append(r.Binding, bind(m, &described.Entries[i]))
	}
	return r, nil
}

// bind opens an entry with what it asks for. The key is the job's to choose: each column that the entry asks for of a keyed port is
// tried for it.
func bind(m sandbox.Module, e *abi.Entry) EntryBinding {
	b := EntryBinding{Entry: e.Name}
	for _, key := range plausibleKeys(e) {
		request := abi.OpenRequest{Entry: e.Name, Job: "inspect", Operator: e.Name, Parallelism: 1, Key: key}
		for _, in := range e.Inputs {
			request.Inputs = append(request.Inputs, abi.OpenInput{Port: in.Name, Schema: in.Columns, Keyed: in.Keyed})
		}
		found, err := sandbox.Inspect(m, sandbox.Limits{}, request)
		if err == nil {
			b.Descriptor, b.Refusal = found.Descriptor, ""
			return b
		}
		if b.Refusal == "" {
			b.Refusal = "it does not open with defaults: " + err.Error()
			if errcode.Is(err, sandbox.ErrOpen) {
				b.Refusal = "what else it declares depends on the columns and the key that a job gives it, and `tidemill plan` shows it for one; " +
					"with nothing but the columns above: " + errcode.Of(err).Message
			}
		}
	}
	return b
}

// plausibleKeys are the columns of the first keyed port, each alone; without a keyed port the one key is none.
func plausibleKeys(e *abi.Entry) [][]abi.Field {
	var keys [][]abi.Field
	for _, in := range e.Inputs {
		for i := range in.Columns {
			if in.Keyed && len(keys) < keysTried {
				keys = append(keys, in.Columns[i:i+1])
			}
		}
		if len(keys) > 0 {
			return keys
		}
	}
	return [][]abi.Field{nil}
}

// keysTried bounds the instances that are made for one entry.
const keysTried = 16

func importsOf(m *wasm.Module) []string {
	list := []string{}
	for _, i := range m.Imports {
		list = append(list, i.Module+"."+i.Name)
	}
	return list
}

func memoryOf(m *wasm.Module) string {
	if len(m.Memories) == 0 {
		return "that of the base"
	}
	limits := m.Memories[0]
	text := view.Bytes(int64(limits.Min)<<16) + " at the start"
	if limits.HasMax {
		text += ", at most " + view.Bytes(int64(limits.Max)<<16)
	}
	return text
}

// Print writes the report for people.
func (r *Report) Print(w io.Writer) {
	fmt.Fprintf(w, "%s\n  digest   sha256:%s\n  size     %s\n  sdk      %s %s, %s, ABI %d\n  memory   %s\n  verdict  %s\n", r.File, r.Digest,
		view.Bytes(int64(r.Bytes)), r.SDK.Name, r.SDK.Version, r.SDK.Language, r.ABI, r.Memory, r.Verdict)
	if r.Base != "" {
		fmt.Fprintf(w, "  base     %s, whose figures these are\n", r.Base)
	}
	fmt.Fprintf(w, "  meter    %d functions (%d charged at entry, %d counted for depth), %d loops; %s metered\n", r.Meter.Functions, r.Meter.Charged,
		r.Meter.Counted, r.Meter.Loops, view.Bytes(int64(r.Meter.BytesOut)))
	if len(r.Imports) > 0 {
		fmt.Fprintf(w, "  imports  %s\n", strings.Join(r.Imports, ", "))
	}
	for i, e := range r.Entries {
		fmt.Fprintf(w, "\n%s %s\n", e.Kind, e.Name)
		if e.Doc != "" {
			fmt.Fprintf(w, "  %s\n", e.Doc)
		}
		for _, p := range e.Params {
			fmt.Fprintf(w, "  param %s: %s%s%s\n", p.Name, strings.TrimSuffix(p.Type, "_ms"), defaultOf(p), docOf(p.Doc))
		}
		for _, in := range e.Inputs {
			keyed := ""
			if in.Keyed {
				keyed = ", keyed"
			}
			fmt.Fprintf(w, "  input %s%s: %s\n", in.Name, keyed, fieldText(in.Columns))
		}
		r.Binding[i].print(w)
	}
}

func defaultOf(p abi.Param) string {
	switch {
	case p.Required:
		return ", required"
	case p.Default == nil:
		return ""
	}
	if v, err := p.Convert(p.Default); err == nil && p.Type == abi.ParamDuration {
		return ", default " + durationText(v.(int64))
	}
	return fmt.Sprintf(", default %v", p.Default)
}

// durationText is a duration as a job.yaml has it: 30m in place of 30m0s.
func durationText(ms int64) string {
	text := (time.Duration(ms) * time.Millisecond).String()
	if strings.HasSuffix(text, "m0s") {
		text = text[:len(text)-2]
	}
	if strings.HasSuffix(text, "h0m") {
		text = text[:len(text)-2]
	}
	return text
}

func docOf(doc string) string {
	if doc == "" {
		return ""
	}
	return ". " + doc
}

func fieldText(fields []abi.Field) string {
	parts := make([]string, len(fields))
	for i, f := range fields {
		parts[i] = f.Name + ": " + f.Type
		if f.Nullable {
			parts[i] += "?"
		}
	}
	return "{" + strings.Join(parts, ", ") + "}"
}

func (b *EntryBinding) print(w io.Writer) {
	if b.Descriptor == nil {
		fmt.Fprintf(w, "  %s\n", b.Refusal)
		return
	}
	for _, o := range b.Descriptor.Outputs {
		fmt.Fprintf(w, "  output %s: %s\n", o.Name, fieldText(o.Schema))
	}
	for _, s := range b.Descriptor.States {
		text := fieldText(s.Value)
		if len(s.Key) > 0 {
			text = fieldText(s.Key) + " to " + text
		}
		fmt.Fprintf(w, "  state %s: %s of %s%s\n", s.Name, s.Kind, text, plan.Expires(&s))
	}
	for _, t := range b.Descriptor.Timers {
		fmt.Fprintf(w, "  timer %s (%s)\n", t.Name, t.Mode)
	}
	for _, m := range b.Descriptor.Metrics {
		fmt.Fprintf(w, "  metric %s (%s)%s\n", m.Name, m.Kind, docOf(m.Doc))
	}
}
