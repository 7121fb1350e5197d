package main

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/tidemill/tidemill/sdk-go/operator"
	"github.com/tidemill/tidemill/sdk-go/operatortest"
)

// row is a flight as the job reads it.
type row struct {
	Carrier  string
	Flight   int32
	Origin   string
	Dest     string
	DepTime  operator.Null[int32]
	DepDelay operator.Null[int32]
	TimeHour operator.Timestamp
}

// summary and warning are rows of daily and alerts with the types that the host's columns have.
type summary struct {
	Carrier      string
	Day          string
	Flights      int64
	Cancelled    int64
	Delayed      int64
	MeanDelayMin operator.Null[float64]
	MaxDelayMin  operator.Null[int32]
	WorstDest    operator.Null[string]
}

type warning struct {
	Carrier  string
	Flight   int32
	Origin   string
	Dest     string
	Day      string
	DepDelay operator.Null[int32]
}

func open(t *testing.T, shake uint64, params map[string]any) *operatortest.Harness {
	t.Helper()
	return operatortest.New(t, "delays", operatortest.Config{
		Key: []string{"carrier"}, EventTime: "time_hour", Inputs: map[string]any{"in": row{}}, Params: params, Shake: shake,
	})
}

// TestTheMonthEqualsTheScript runs the committed month, in batches with the watermark a day behind as the job has it, and compares
// all rows with those of expected.py.
func TestTheMonthEqualsTheScript(t *testing.T) {
	flights := readFlights(t)
	for i, c := range []struct{ threshold, alert int }{{30, 120}, {15, 60}} {
		h := open(t, uint64(i), map[string]any{"threshold_minutes": c.threshold, "alert_minutes": c.alert})
		newest := operator.NoTime
		for batch := range slices.Chunk(flights, 700) {
			operatortest.Send(h, "in", batch...)
			for _, f := range batch {
				newest = max(newest, f.TimeHour)
			}
			h.AdvanceWatermark(newest.Add(-24 * time.Hour))
		}
		h.End()
		if late := operatortest.Rows[row](h, "late"); len(late) > 0 {
			t.Errorf("%d flights are late", len(late))
		}
		folder := fmt.Sprintf("../testdata/expected-%d-%d", c.threshold, c.alert)
		compareRows(t, filepath.Join(folder, "daily.jsonl"), asJSON(t, operatortest.Rows[summary](h, "daily")))
		compareRows(t, filepath.Join(folder, "alerts.jsonl"), asJSON(t, operatortest.Rows[warning](h, "alerts")))
	}
}

func readFlights(t *testing.T) []row {
	t.Helper()
	file, err := os.Open("../testdata/flights.csv")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	records, err := csv.NewReader(file).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	number := func(text string) operator.Null[int32] {
		if text == "NA" {
			return operator.Null[int32]{}
		}
		n, err := strconv.Atoi(text)
		if err != nil {
			t.Fatal(err)
		}
		return operator.Some(int32(n))
	}
	var flights []row
	for _, r := range records[1:] {
		get := func(name string) string { return r[slices.Index(records[0], name)] }
		at, err := time.Parse(time.RFC3339, get("time_hour"))
		if err != nil {
			t.Fatal(err)
		}
		flights = append(flights, row{
			get("carrier"), number(get("flight")).Value, get("origin"), get("dest"), number(get("dep_time")), number(get("dep_delay")), operator.At(at),
		})
	}
	return flights
}

// asJSON is rows as objects with the names of their columns.
func asJSON[R any](t *testing.T, rows []R) []any {
	t.Helper()
	var out []any
	for _, r := range rows {
		object := map[string]any{}
		v := reflect.ValueOf(r)
		for i := range v.NumField() {
			x := v.Field(i).Interface()
			switch n := x.(type) {
			case operator.Null[float64]:
				x = orNil(n)
			case operator.Null[int32]:
				x = orNil(n)
			case operator.Null[string]:
				x = orNil(n)
			}
			object[columnName(v.Type().Field(i).Name)] = x
		}
		out = append(out, object)
	}
	return out
}

func orNil[T any](n operator.Null[T]) any {
	if n.Valid {
		return n.Value
	}
	return nil
}

func columnName(field string) string {
	var b strings.Builder
	for i, r := range field {
		if i > 0 && r < 'a' {
			b.WriteByte('_')
		}
		b.WriteRune(r | 0x20)
	}
	return b.String()
}

func compareRows(t *testing.T, file string, rows []any) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var want, got []string
	for line := range strings.Lines(string(text)) {
		var object any
		if err := json.Unmarshal([]byte(line), &object); err != nil {
			t.Fatal(err)
		}
		want = append(want, normal(t, object))
	}
	for _, r := range rows {
		got = append(got, normal(t, r))
	}
	slices.Sort(want)
	slices.Sort(got)
	if len(got) != len(want) {
		t.Errorf("%s: %d rows, want %d", file, len(got), len(want))
	}
	for i := range min(len(got), len(want)) {
		if got[i] != want[i] {
			t.Fatalf("%s:\n got %s\nwant %s", file, got[i], want[i])
		}
	}
}

// normal is an object with its names sorted and its numbers written one way.
func normal(t *testing.T, object any) string {
	t.Helper()
	b, err := json.Marshal(object)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

var noon = operator.At(time.Date(2013, 5, 4, 12, 0, 0, 0, time.UTC))

// departed is a flight that left so many minutes late.
func departed(dest string, delay int32) row {
	return row{Carrier: "TM", Flight: 7, Origin: "JFK", Dest: dest, DepTime: operator.Some[int32](1200), DepDelay: operator.Some(delay), TimeHour: noon}
}

func cancelled(dest string) row {
	return row{Carrier: "TM", Flight: 8, Origin: "JFK", Dest: dest, TimeHour: noon}
}

func TestADay(t *testing.T) {
	day := summary{Carrier: "TM", Day: "2013-05-04"}
	for _, c := range []struct {
		name    string
		flights []row
		want    func(*summary)
	}{
		{"all are cancelled: nothing is known of delays", []row{cancelled("ATL"), cancelled("ATL"), cancelled("ATL")}, func(s *summary) {
			s.Flights, s.Cancelled = 3, 3
		}},
		{"two departures to a place are too few", []row{departed("ATL", 5), departed("ATL", 5), departed("BOS", 29), cancelled("BOS")}, func(s *summary) {
			s.Flights, s.Cancelled = 4, 1
			s.MeanDelayMin, s.MaxDelayMin = operator.Some(13.0), operator.Some[int32](29)
		}},
		{"among equal means the first name counts, and more flights do not", []row{
			departed("DEN", 20), departed("DEN", 20), departed("DEN", 20), departed("DEN", 20),
			departed("BOS", 30), departed("BOS", 10), departed("BOS", 20), departed("ATL", 90), departed("ATL", 90),
		}, func(s *summary) {
			s.Flights, s.Delayed = 9, 3
			s.MeanDelayMin, s.MaxDelayMin, s.WorstDest = operator.Some(35.56), operator.Some[int32](90), operator.Some("BOS")
		}},
		{"all leave early: the greatest is the nearest to zero", []row{departed("ATL", -9), departed("ATL", -4), departed("ATL", -2)}, func(s *summary) {
			s.Flights = 3
			s.MeanDelayMin, s.MaxDelayMin, s.WorstDest = operator.Some(-5.0), operator.Some[int32](-2), operator.Some("ATL")
		}},
		{"half a hundredth is rounded away from zero", eight(1), func(s *summary) {
			s.Flights = 8
			s.MeanDelayMin, s.MaxDelayMin, s.WorstDest = operator.Some(0.13), operator.Some[int32](1), operator.Some("ATL")
		}},
		{"below zero too", eight(-1), func(s *summary) {
			s.Flights = 8
			s.MeanDelayMin, s.MaxDelayMin, s.WorstDest = operator.Some(-0.13), operator.Some[int32](0), operator.Some("ATL")
		}},
	} {
		want := day
		c.want(&want)
		for shake := range uint64(4) {
			h := open(t, shake, nil)
			operatortest.Send(h, "in", c.flights...)
			slices.Reverse(c.flights) // the order in which splits deliver does not matter
			h.End()
			if got := operatortest.Rows[summary](h, "daily"); len(got) != 1 || got[0] != want {
				t.Errorf("%s:\n got %+v\nwant %+v", c.name, got, want)
			}
		}
	}
}

// eight is eight departures with delays that add up to sum.
func eight(sum int32) (flights []row) {
	for range 7 {
		flights = append(flights, departed("ATL", 0))
	}
	return append(flights, departed("ATL", sum))
}

// TestALateFlightGoesToLateOnly: what comes when its hour is past changes no day and raises no alert, whether its day is still
// open or not.
func TestALateFlightGoesToLateOnly(t *testing.T) {
	for shake := range uint64(4) {
		h := open(t, shake, nil)
		operatortest.Send(h, "in", departed("ATL", 10))
		late := departed("BOS", 500)
		h.AdvanceWatermark(late.TimeHour)
		onTime := departed("DEN", 130)
		onTime.TimeHour = late.TimeHour + 1
		operatortest.Send(h, "in", late, onTime)
		h.AdvanceWatermark(noon.Add(12*time.Hour) - 1) // the last moment of the day
		closed := cancelled("ATL")
		operatortest.Send(h, "in", closed, late)
		h.End()

		want := summary{"TM", "2013-05-04", 2, 0, 1, operator.Some(70.0), operator.Some[int32](130), operator.Null[string]{}}
		if got := operatortest.Rows[summary](h, "daily"); len(got) != 1 || got[0] != want {
			t.Errorf("daily: got %+v, want %+v", got, want)
		}
		if got := operatortest.Rows[warning](h, "alerts"); len(got) != 1 || got[0].Dest != "DEN" {
			t.Errorf("alerts: %+v, want that of DEN", got)
		}
		if got, want := operatortest.Rows[row](h, "late"), []row{late, closed, late}; !slices.Equal(got, want) {
			t.Errorf("late: got %+v\nwant %+v", got, want)
		}
	}
}

// TestADayIsForgotten: nothing is left of a day that is over.
func TestADayIsForgotten(t *testing.T) {
	h := open(t, 0, nil)
	operatortest.Send(h, "in", departed("ATL", 10), departed("BOS", 10))
	if days := operatortest.Map[operator.Date, totals](h, "days", "TM"); len(days) != 1 || len(h.Timers("TM")) != 1 {
		t.Errorf("an open day: %v, timers %v", days, h.Timers("TM"))
	}
	h.AdvanceWatermark(noon.Add(12*time.Hour) - 1)
	days, routes := operatortest.Map[operator.Date, totals](h, "days", "TM"), operatortest.Map[route, departures](h, "routes", "TM")
	if len(days)+len(routes)+len(h.Timers("TM")) > 0 {
		t.Errorf("left over: %v, %v, %v", days, routes, h.Timers("TM"))
	}
}
