package main

import (
	"encoding/csv"
	"encoding/json"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/tidemill/tidemill/sdk-go/operator"
	"github.com/tidemill/tidemill/sdk-go/operatortest"
)

// row is a transaction as the job reads it, raised an alert with the types that the host's columns have.
type row struct {
	ID          int64 `tm:"id"`
	Card        string
	Time        operator.Timestamp
	AmountCents int64 `tm:"amount_cents"`
	Country     string
	Present     bool
}

type raised struct {
	Card   string             `json:"card"`
	ID     int64              `json:"id" tm:"id"`
	Rule   string             `json:"rule"`
	Time   operator.Timestamp `json:"-"`
	Amount int64              `json:"amount_cents" tm:"amount_cents"`
}

func open(t *testing.T, shake uint64) *operatortest.Harness {
	t.Helper()
	return operatortest.New(t, "fraud", operatortest.Config{
		Key: []string{"card"}, EventTime: "time", Inputs: map[string]any{"in": row{}}, Shake: shake,
	})
}

// TestTheWeek runs the week as it arrives, with the watermark five minutes behind, and compares the alerts with those of expected.py.
func TestTheWeek(t *testing.T) {
	for _, size := range []int{97, 4096} {
		h := open(t, uint64(size))
		newest := operator.NoTime
		for batch := range slices.Chunk(week(t), size) {
			operatortest.Send(h, "in", batch...)
			for _, r := range batch {
				newest = max(newest, r.Time)
			}
			h.AdvanceWatermark(newest.Add(-5 * time.Minute))
		}
		h.End()
		if late := operatortest.Rows[row](h, "late"); len(late) > 0 {
			t.Errorf("%d transactions are late", len(late))
		}
		got := operatortest.Rows[raised](h, "alerts")
		slices.SortFunc(got, func(a, b raised) int {
			if a.ID != b.ID {
				return int(a.ID - b.ID)
			}
			return strings.Compare(a.Rule, b.Rule)
		})
		for i := range got {
			got[i].Time = 0 // as text it is compared in the job's own test
		}
		if want := expected(t); !reflect.DeepEqual(got, want) {
			t.Errorf("batches of %d: %d alerts, want %d; the first: %v", size, len(got), len(want), got[:min(3, len(got))])
		}
	}
}

// TestLate sends one transaction behind the watermark: it goes to port late and nowhere else.
func TestLate(t *testing.T) {
	h := open(t, 1)
	noon := operator.At(time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC))
	for i := range 6 {
		operatortest.Send(h, "in", row{int64(i), "a", noon.Add(time.Duration(i) * time.Second), 500, "DE", true})
	}
	h.AdvanceWatermark(noon.Add(time.Minute))
	if alerts := operatortest.Rows[raised](h, "alerts"); len(alerts) != 1 || alerts[0].ID != 5 || alerts[0].Rule != "burst" {
		t.Errorf("alerts: %v", alerts)
	}
	late := row{7, "a", noon.Add(30 * time.Second), 500, "FR", true}
	operatortest.Send(h, "in", late)
	h.End()
	if got := operatortest.Rows[row](h, "late"); !reflect.DeepEqual(got, []row{late}) {
		t.Errorf("late: %v", got)
	}
	if alerts := operatortest.Rows[raised](h, "alerts"); len(alerts) > 0 {
		t.Errorf("alerts: %v", alerts)
	}
}

func week(t *testing.T) (rows []row) {
	t.Helper()
	file, err := os.Open("../testdata/transactions.csv")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	records, err := csv.NewReader(file).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range records[1:] {
		at, err := time.Parse(time.RFC3339, r[2])
		if err != nil {
			t.Fatal(err)
		}
		rows = append(rows, row{number(t, r[0]), r[1], operator.At(at), number(t, r[3]), r[4], r[5] == "true"})
	}
	return rows
}

func number(t *testing.T, text string) int64 {
	t.Helper()
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func expected(t *testing.T) (rows []raised) {
	t.Helper()
	text, err := os.ReadFile("../testdata/expected.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		var r raised
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Fatal(err)
		}
		rows = append(rows, r)
	}
	return rows
}
