// Command late-flights is an operator, keyed by carrier, that sums up each carrier's day and raises an alert for each flight
// that left very late. It is built to WebAssembly with `tidemill build`.
package main

import (
	"github.com/tidemill/tidemill/sdk-go/operator"
	"github.com/tidemill/tidemill/sdk-go/state"
)

func init() {
	operator.Register[delays]("delays", "Sums up each carrier's day and raises an alert for each flight that left very late.")
}

func main() {}

// flight is what the operator reads of a flight. A cancelled one has no dep_time.
type flight struct {
	Carrier   string               `tm:"carrier"`
	Number    int32                `tm:"flight"`
	Origin    string               `tm:"origin"`
	Dest      string               `tm:"dest"`
	DepTime   operator.Null[int32] `tm:"dep_time"`
	DepDelay  operator.Null[int32] `tm:"dep_delay"` // minutes
	EventTime operator.Timestamp   `tm:",event_time"`
}

// daily is a carrier's day, in UTC.
type daily struct {
	operator.FromKey
	Day       string                 `tm:"day"`
	Flights   int64                  `tm:"flights"`
	Cancelled int64                  `tm:"cancelled"`
	Delayed   int64                  `tm:"delayed"`
	Mean      operator.Null[float64] `tm:"mean_delay_min"`
	Max       operator.Null[int32]   `tm:"max_delay_min"`
	WorstDest operator.Null[string]  `tm:"worst_dest"`
}

// alert is a flight that left very late.
type alert struct {
	Carrier  operator.FromInput `tm:"carrier"`
	Number   operator.FromInput `tm:"flight"`
	Origin   operator.FromInput `tm:"origin"`
	Dest     operator.FromInput `tm:"dest"`
	Day      string             `tm:"day"`
	DepDelay operator.FromInput `tm:"dep_delay"`
}

// totals of a carrier's day.
type totals struct {
	Flights  int64 `tm:"flights"`
	Departed int64 `tm:"departed"`
	Delayed  int64 `tm:"delayed"`
	Sum      int64 `tm:"sum"` // of delays, minutes
	Max      int32 `tm:"max"` // zero until a flight has departed
}

// route is a destination on a day: all of a day lie together in the map, the names ascending.
type route struct {
	Day  operator.Date `tm:"day"`
	Dest string        `tm:"dest"`
}

// departures to a destination on a day.
type departures struct {
	Flights int64 `tm:"flights"`
	Sum     int64 `tm:"sum"`
}

// routeFlightsMin departures make a destination comparable.
const routeFlightsMin = 3

type delays struct {
	Threshold int32 `param:"threshold_minutes" default:"30" doc:"a flight that leaves so many minutes late counts as delayed"`
	Alert     int32 `param:"alert_minutes" default:"120" doc:"a flight that leaves so many minutes late raises an alert"`

	In     operator.In[flight]                 `tm:"in"`
	Daily  operator.Out[daily]                 `tm:"daily"`
	Alerts operator.Out[alert]                 `tm:"alerts"`
	Late   operator.Out[operator.FromInputRow] `tm:"late" doc:"flights of a day that is closed already"`
	Days   state.Map[operator.Date, totals]    `tm:"days,prefetch"`
	Routes state.Map[route, departures]        `tm:"routes,prefetch"`
	Close  operator.Timer                      `tm:"close,many" doc:"the end of a day"`

	operator.Base
}

// Open attaches the handlers.
func (d *delays) Open() error {
	d.In.OnRow(d.onFlight)
	d.Close.OnFire(d.onClose)
	return nil
}

func (d *delays) onFlight(f *flight) error {
	if f.EventTime <= d.Watermark() {
		d.Late.Emit(operator.FromInputRow{})
		return nil
	}
	day := f.EventTime.Date()
	t, open := d.Days.Get(day)
	if !open {
		d.Close.Set((day + 1).Start() - 1)
	}
	t.Flights++
	if f.DepTime.Valid {
		delay := f.DepDelay.Value
		if t.Departed == 0 || delay > t.Max {
			t.Max = delay
		}
		t.Departed++
		t.Sum += int64(delay)
		if delay >= d.Threshold {
			t.Delayed++
		}
		r, _ := d.Routes.Get(route{day, f.Dest})
		r.Flights++
		r.Sum += int64(delay)
		d.Routes.Set(route{day, f.Dest}, r)
	}
	d.Days.Set(day, t)
	if f.DepDelay.Valid && f.DepDelay.Value >= d.Alert {
		d.Alerts.Emit(alert{Day: day.String()})
	}
	return nil
}

// onClose sums up the day that has ended and forgets it.
func (d *delays) onClose(at operator.Fired) error {
	day := at.Time.Date()
	t, _ := d.Days.Get(day)
	sum := daily{Day: day.String(), Flights: t.Flights, Cancelled: t.Flights - t.Departed, Delayed: t.Delayed}
	if t.Departed > 0 {
		sum.Mean = operator.Some(float64(hundredths(t.Sum, t.Departed)) / 100)
		sum.Max = operator.Some(t.Max)
	}
	var worst departures
	for r, s := range d.Routes.Range(route{Day: day}, route{Day: day + 1}) {
		// s.Sum/s.Flights > worst.Sum/worst.Flights in whole numbers; names ascend, so the first of equals stays
		if s.Flights >= routeFlightsMin && (!sum.WorstDest.Valid || s.Sum*worst.Flights > worst.Sum*s.Flights) {
			sum.WorstDest, worst = operator.Some(r.Dest), s
		}
		d.Routes.Delete(r)
	}
	d.Days.Delete(day)
	d.Daily.Emit(sum)
	return nil
}

// hundredths is sum/n in hundredths, rounded half away from zero.
func hundredths(sum, n int64) int64 {
	if sum < 0 {
		return -hundredths(-sum, n)
	}
	return (sum*200 + n) / (2 * n)
}
