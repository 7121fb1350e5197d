package task

import (
	"fmt"
	"unicode/utf8"

	"github.com/tidemill/tidemill/connectors"
	"github.com/tidemill/tidemill/internal/errcode"
	"github.com/tidemill/tidemill/runtime/operator"
	"github.com/tidemill/tidemill/runtime/record"
)

// letter builds one row of operator.DeadLetterSchema by column name; columns not named are null.
func letter(node string, cause error, values map[string]any) *record.Batch {
	values["node"] = node
	values["error"] = cause.Error()
	if e := errcode.Of(cause); e != nil {
		values["code"] = e.Code.ID
	}
	b := record.NewBatch(operator.DeadLetterSchema, 1)
	b.Rows = 1
	for i, f := range b.Schema.Fields {
		switch v := values[f.Name].(type) {
		case nil:
			b.Columns[i].AppendNull()
		case int64:
			b.Columns[i].AppendInt(v)
		case string:
			b.Columns[i].AppendString(v)
		case []byte:
			b.Columns[i].AppendBytes(v)
		default:
			panic(fmt.Sprintf("task: dead letter column %s of type %T", f.Name, v))
		}
	}
	return b
}

// rejectionLetter is the dead letter of what an operator rejected.
func rejectionLetter(n *Node, r *operator.Rejection) *record.Batch {
	values := map[string]any{}
	if t := r.Timer; t != nil {
		values["key"], values["timer"], values["time"] = t.Key, t.Name, t.Time
		return letter(n.Name, r.Cause, values)
	}
	values["port"] = n.Operator.Inputs[r.Port].Port
	values["record"] = operator.AppendRowJSON(nil, r.Row, 0)
	if o := r.Row.Origin(0); o != nil {
		values["source"], values["split"] = o.Source, o.Split
	}
	if r.Row.Pos != nil && r.Row.Pos[0] >= 0 {
		values["position"] = r.Row.Pos[0]
	}
	return letter(n.Name, r.Cause, values)
}

// badRecordLetter is the dead letter of a record that a source could not decode.
func badRecordLetter(source, split string, bad *connectors.BadRecord) *record.Batch {
	values := map[string]any{"source": source, "split": split}
	if bad.At >= 0 {
		values["position"] = bad.At
	}
	if bad.Line > 0 {
		values["line"] = bad.Line
	}
	if utf8.Valid(bad.Raw) {
		values["record"] = bad.Raw
	} else {
		values["raw"] = bad.Raw
	}
	return letter(source, bad.Reason, values)
}

// badRecord treats a bad record of the task's source by its policy.
func (l *link) badRecord(split string, bad *connectors.BadRecord) error {
	if l.node.OnError == Fail {
		return badRecordError(l.node.Name, split, bad)
	}
	l.noteRejected(bad.Reason)
	if l.node.OnError == DeadLetter {
		l.emit(operator.DeadLetterPort, badRecordLetter(l.node.Name, split, bad))
	}
	return l.task.failure
}

func badRecordError(source, split string, bad *connectors.BadRecord) error {
	place := fmt.Sprintf("source %s, split %s", source, split)
	if bad.At >= 0 {
		place += fmt.Sprintf(", position %d", bad.At)
	}
	if bad.Line > 0 {
		place += fmt.Sprintf(", line %d", bad.Line)
	}
	hint, reason := "mend the record, or set on_error of the source to skip or dead_letter", bad.Reason
	if e := errcode.Of(reason); e != nil && e.Hint != "" {
		reason, hint = &errcode.Error{Code: e.Code, Message: e.Message, Place: e.Place, Cause: e.Cause}, e.Hint+"; or "+hint
	}
	return ErrRejected.Errorf("a record cannot be read").At("%s", place).Because(reason).Do("%s", hint)
}
