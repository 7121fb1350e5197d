package csv

import (
	"bytes"
	stdcsv "encoding/csv"
	"testing"

	"github.com/tidemill/tidemill/connectors"
	"github.com/tidemill/tidemill/connectors/connectortest"
	"github.com/tidemill/tidemill/connectors/format"
	"github.com/tidemill/tidemill/runtime/record"
)

// P11: a record of 200 bytes into five columns. Beside it is encoding/csv, which only cuts the fields.
func BenchmarkDecode(b *testing.B) {
	const header = "year,month,day,dep_time,sched_dep_time,dep_delay,arr_time,sched_arr_time,arr_delay,carrier,flight,tailnum,origin,dest,air_time,distance,hour,minute,time_hour,note\n"
	const line = "2013,1,1,517,515,2,830,819,11,UA,1545,N14228,EWR,IAH,227,1400,5,15,2013-01-01T10:00:00Z," +
		"a note of about a hundred bytes as an export of some other system would have it beside the numbers of flight..\n"
	s := connectortest.Columns(b, "carrier utf8", "flight i32", "dep_delay i32?", "dest utf8", "time_hour timestamp")
	for _, c := range []struct{ name, line string }{
		{"plain", line},
		{"quoted", "2013,1,1,517,515,2,830,819,11,\"UA\",1545,N14228,\"EWR\",\"IAH\",227,1400,5,15,2013-01-01T10:00:00Z," +
			"\"a note of about a hundred bytes as an \"\"export\"\" of some other system would have it, beside the numbers..\"\n"},
	} {
		b.Run(c.name, func(b *testing.B) {
			const rows = 1024
			data := bytes.Repeat([]byte(c.line), rows)
			dec := newDecoding(b, `{header: true, "null": NA}`, s, header)()
			dst := record.NewBatch(s, rows)
			dst.Pos = make([]int64, 0, rows)
			var bad []connectors.BadRecord
			b.SetBytes(int64(len(c.line)))
			b.ReportAllocs()
			for n := 0; n < b.N; n += rows {
				dst.Rows, dst.Pos = 0, dst.Pos[:0]
				for i := range dst.Columns {
					dst.Columns[i].Reset()
				}
				p := dec.Decode(format.Chunk{Data: data, Line: 2}, dst, rows, &bad)
				if p.Records != rows || dst.Rows != rows || len(bad) > 0 {
					b.Fatalf("%+v, %d rows, bad %v", p, dst.Rows, bad)
				}
			}
		})
	}
	b.Run("encoding-csv", func(b *testing.B) {
		data := bytes.Repeat([]byte(line), 1024)
		b.SetBytes(int64(len(line)))
		b.ReportAllocs()
		r := stdcsv.NewReader(nil)
		for n := 0; n < b.N; n++ {
			if n%1024 == 0 {
				r = stdcsv.NewReader(bytes.NewReader(data))
				r.ReuseRecord = true
			}
			if _, err := r.Read(); err != nil {
				b.Fatal(err)
			}
		}
	})
}
