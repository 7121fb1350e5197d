package main

import (
	"bytes"
	"fmt"
	"hash/fnv"
	"strings"
	"time"
)

const (
	recordBytes = 200
	csvHeader   = "year,month,day,dep_time,sched_dep_time,dep_delay,arr_time,sched_arr_time,arr_delay,carrier,flight,tailnum,origin,dest,air_time,distance,hour,minute,time_hour,note\n"
)

// flight is the five values to decode.
type flight struct {
	Carrier  string    `json:"carrier"`
	Flight   int32     `json:"flight"`
	Dest     string    `json:"dest"`
	DepDelay *int32    `json:"dep_delay"`
	TimeHour time.Time `json:"time_hour"`
}

// fingerprint is a text that two lists of flights share only where they are equal.
func fingerprint(list []flight) string {
	h := fnv.New128a()
	for _, f := range list {
		delay := "null"
		if f.DepDelay != nil {
			delay = fmt.Sprint(*f.DepDelay)
		}
		fmt.Fprintf(h, "%q %d %q %s %d\n", f.Carrier, f.Flight, f.Dest, delay, f.TimeHour.UnixMicro())
	}
	return fmt.Sprintf("%d records, FNV-128a of all values %x", len(list), h.Sum(nil))
}

// texts are the same flights as files.
type texts struct{ json, csv, quoted []byte }

// flights makes records, each of exactly 200 bytes with its line end. Every 16th has no delay.
func flights() (list []flight, t texts) {
	carriers, dests := []string{"UA", "AA", "B6", "9E", "WN"}, []string{"IAH", "MIA", "BQN", "ATL", "ORD", "FLL", "LAX"}
	start := time.Date(2013, 1, 1, 10, 0, 0, 0, time.UTC)
	var json, csv, quoted bytes.Buffer
	for i := range int32(records) {
		f := flight{Carrier: carriers[i%5], Flight: 1 + i*7%6000, Dest: dests[i%7], TimeHour: start.Add(time.Duration(i) * time.Minute)}
		delayJSON, delayCSV := "null", "NA"
		if delay := i%200 - 20; i%16 != 0 {
			f.DepDelay, delayJSON, delayCSV = &delay, fmt.Sprint(delay), fmt.Sprint(delay)
		}
		list = append(list, f)
		at := f.TimeHour.Format(time.RFC3339)
		pad(&json, fmt.Sprintf(`{"carrier":%q,"flight":%d,"tailnum":"N14228","origin":"EWR","dest":%q,"dep_delay":%s,"arr_delay":11,`+
			`"air_time":227.5,"distance":1400,"time_hour":%q,"note":"`, f.Carrier, f.Flight, f.Dest, delayJSON, at), `"}`)
		pad(&csv, fmt.Sprintf("2013,1,1,517,515,%s,830,819,11,%s,%d,N14228,EWR,%s,227,1400,5,15,%s,", delayCSV, f.Carrier, f.Flight, f.Dest, at), "")
		pad(&quoted, fmt.Sprintf(`2013,1,1,517,515,%s,830,819,11,"%s",%d,N14228,"EWR","%s",227,1400,5,15,%s,"a ""quoted"" note, `,
			delayCSV, f.Carrier, f.Flight, f.Dest, at), `"`)
	}
	return list, texts{json.Bytes(), csv.Bytes(), quoted.Bytes()}
}

// pad appends head, as much of a note as makes the line 200 bytes long, and tail.
func pad(to *bytes.Buffer, head, tail string) {
	to.WriteString(head)
	to.WriteString(strings.Repeat("all well on board ", 10)[:recordBytes-len(head)-len(tail)-1])
	to.WriteString(tail + "\n")
}
