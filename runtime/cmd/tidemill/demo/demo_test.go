package demo

import (
	"errors"
	"os"
	"reflect"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/tidemill/tidemill/internal/errcode"
)

func TestCanonicalRows(t *testing.T) {
	same := [][2]string{
		{`{"a":1,"b":"x"}`, `{ "b" : "x", "a" : 1 }`},
		{`{"a":9007199254740993}`, `{"a":9007199254740993}`},
		{`{"a":null}`, `{"a": null}`},
	}
	for _, c := range same {
		x, errX := canonical([]byte(c[0]))
		y, errY := canonical([]byte(c[1]))
		if x != y || errX != nil || errY != nil {
			t.Errorf("%s and %s: %s, %s, %v, %v", c[0], c[1], x, y, errX, errY)
		}
	}
	differ := [][2]string{{`{"a":1}`, `{"a":2}`}, {`{"a":9007199254740993}`, `{"a":9007199254740992}`}, {`{"a":1}`, `{"a":"1"}`}, {`{"a":1}`, `{}`}}
	for _, c := range differ {
		x, _ := canonical([]byte(c[0]))
		y, _ := canonical([]byte(c[1]))
		if x == y {
			t.Errorf("%s and %s are the same: %s", c[0], c[1], x)
		}
	}
	for _, bad := range []string{"", "[1]", `{"a":1`, `{"a":1}{"a":1}`, "x"} {
		if row, err := canonical([]byte(bad)); err == nil {
			t.Errorf("%s: %s", bad, row)
		}
	}
}

func TestCompare(t *testing.T) {
	folder := fstest.MapFS{
		"daily-1.jsonl":       {Data: []byte("{\"n\":1}\n{\"n\":2}\n")},
		"daily-2.jsonl":       {Data: []byte("{\"n\":2}\n")},
		"alerts-1.jsonl":      {Data: []byte("{\"n\":9}\n")},
		".daily-9.jsonl.open": {Data: []byte("{\"n\":7}\n")},
		"daily-3.jsonl.txt":   {Data: []byte("{\"n\":8}\n")},
		"broken-1.jsonl":      {Data: []byte("{\"n\":1}\n{\"n\":")},
	}
	got, err := readRows(folder, "daily-*.jsonl")
	if want := (rows{`{"n":1}`, `{"n":2}`, `{"n":2}`}); err != nil || !reflect.DeepEqual(got, want) {
		t.Fatalf("%v, %v", got, err)
	}
	if _, err := readRows(folder, "broken-*.jsonl"); err == nil || !strings.Contains(err.Error(), "broken-1.jsonl:2") {
		t.Errorf("half a line: %v", err)
	}
	for _, c := range []struct {
		want rows
		says string
	}{
		{rows{`{"n":1}`, `{"n":2}`, `{"n":2}`}, ""},
		{rows{`{"n":1}`, `{"n":2}`}, `3 rows of the 2 expected: 1 too many, the first {"n":2}`},
		{rows{`{"n":1}`, `{"n":2}`, `{"n":2}`, `{"n":3}`}, `1 missing, the first {"n":3}`},
		{rows{`{"n":0}`, `{"n":2}`, `{"n":2}`}, `1 missing, the first {"n":0}; 1 too many, the first {"n":1}`},
		{nil, `3 too many`},
	} {
		err := compare("daily", got, c.want)
		if c.says == "" && err != nil || c.says != "" && (!errcode.Is(err, errDiffers) || !strings.Contains(err.Error(), c.says)) {
			t.Errorf("against %v: %v, want %q", c.want, err, c.says)
		}
	}
}

// TestEveryClaimIsChecked breaks each claim of a report that holds.
func TestEveryClaimIsChecked(t *testing.T) {
	good := func() *Report {
		return &Report{Flights: 100, Daily: 1, Alerts: 1, Exact: true, Kills: 1, Restarts: 1, Checkpoints: 9, RestoredCheckpoint: 4,
			RestoredPositions: []Position{{Offset: 10, Records: 50}}, RestoredRecords: 50, RecordsReplayed: 3, RecordsPerSecond: 5}
	}
	if err := good().check(); err != nil {
		t.Fatal(err)
	}
	for name, spoil := range map[string]func(*Report){
		"no kill": func(r *Report) { r.Kills, r.Restarts = 0, 0 }, "no restart": func(r *Report) { r.Restarts = 0 },
		"restored 1": func(r *Report) { r.RestoredCheckpoint = 1 }, "no position": func(r *Report) { r.RestoredPositions = nil },
		"position 0":     func(r *Report) { r.RestoredPositions[0].Offset = 0 },
		"position done":  func(r *Report) { r.RestoredPositions[0].Done = true },
		"nothing read":   func(r *Report) { r.RestoredRecords = 0 },
		"all read":       func(r *Report) { r.RestoredRecords = 100 },
		"no replay":      func(r *Report) { r.RecordsReplayed = 0 },
		"no checkpoints": func(r *Report) { r.Checkpoints = 4 }, "no alerts": func(r *Report) { r.Alerts = 0 },
		"late": func(r *Report) { r.Late = 1 }, "bad": func(r *Report) { r.Bad = 1 },
		"no speed": func(r *Report) { r.RecordsPerSecond = 0 }, "not exact": func(r *Report) { r.Exact = false },
	} {
		r := good()
		spoil(r)
		if err := r.check(); !errcode.Is(err, errClaim) || errcode.Of(err).Code.Class != errcode.Failed {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestMessages(t *testing.T) {
	var b strings.Builder
	s := NewSender(&b)
	for _, m := range []Message{{Text: "a\nb"}, {Progress: &Progress{Records: 5, Checkpoint: 2}}, {Result: &Result{Outcome: "finished"}}} {
		if err := s.Send(m); err != nil {
			t.Fatal(err)
		}
	}
	count := func(text string) (n int, err error) {
		err = receive(strings.NewReader(text), func(m Message) error {
			n++
			if m.Progress != nil && m.Progress.Records != 5 {
				t.Errorf("progress %+v", m.Progress)
			}
			return nil
		})
		return n, err
	}
	if n, err := count(b.String()); n != 3 || err != nil {
		t.Errorf("%d messages, %v", n, err)
	}
	if n, err := count(b.String() + `{"progress":{"rec`); n != 3 || err != nil {
		t.Errorf("a last line that a kill cut: %d messages, %v", n, err)
	}
	if _, err := count("panic: something\n" + b.String()); err == nil {
		t.Error("a line in the middle that is no message is passed over")
	}
	stop := errors.New("stop")
	if err := receive(strings.NewReader(b.String()), func(Message) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("got %v", err)
	}
}

func TestArgs(t *testing.T) {
	w := Worker{Job: "a b/job.yaml", Rate: 2700.4, Interval: SlowInterval}
	got, err := ParseArgs(w.Args())
	if err != nil || got != w {
		t.Errorf("%+v, %v", got, err)
	}
	for _, args := range [][]string{nil, {"a", "x", "1s"}, {"a", "1", "x"}} {
		if _, err := ParseArgs(args); err == nil {
			t.Errorf("%v", args)
		}
	}
}

func TestMiddle(t *testing.T) {
	d := &Demo{Example: Example{Flights: 1000}}
	for _, c := range []struct {
		p    Progress
		want bool
	}{
		{Progress{Records: 600, Checkpoint: 3, CheckpointRecords: 450}, true},
		{Progress{Records: 499, Checkpoint: 3, CheckpointRecords: 300}, false},  // too early
		{Progress{Records: 600, Checkpoint: 1, CheckpointRecords: 450}, false},  // too few checkpoints
		{Progress{Records: 600, Checkpoint: 3, CheckpointRecords: 550}, false},  // too little to read again
		{Progress{Records: 1000, Checkpoint: 3, CheckpointRecords: 800}, false}, // too late
	} {
		if got := d.middle(&c.p); got != c.want {
			t.Errorf("%+v: %v", c.p, got)
		}
	}
}

func TestUnpackNeedsAnEmptyFolder(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(dir+"/job.yaml", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	d := &Demo{Dir: dir, Example: Example{Files: fstest.MapFS{"job.yaml": {Data: []byte("x"), ModTime: time.Time{}}}}}
	if err := d.unpack(); !errcode.Is(err, errFolder) {
		t.Errorf("got %v", err)
	}
}
