package json_test

import (
	"bytes"
	stdjson "encoding/json"
	"testing"

	"github.com/tidemill/tidemill/connectors"
	"github.com/tidemill/tidemill/connectors/connectortest"
	"github.com/tidemill/tidemill/connectors/format"
	"github.com/tidemill/tidemill/connectors/format/json"
	"github.com/tidemill/tidemill/runtime/record"
)

// line has 200 bytes.
const line = `{"carrier":"UA","flight":1545,"tailnum":"N14228","origin":"EWR","dest":"IAH","dep_delay":2,"arr_delay":11,"air_time":227.5,` +
	`"distance":1400,"time_hour":"2013-01-01T10:00:00Z","note":"all well on board"}` + "\n"

// P11: a record of 200 bytes into five columns. encoding/json, into a struct of the same five members, is beside it.
func BenchmarkDecode(b *testing.B) {
	s := connectortest.Columns(b, "carrier utf8", "flight i32", "dest utf8", "dep_delay i32?", "time_hour timestamp")
	const rows = 1024
	data := bytes.Repeat([]byte(line), rows)
	b.Run("columns", func(b *testing.B) {
		dec := newFor(s)()
		dst := record.NewBatch(s, rows)
		dst.Pos = make([]int64, 0, rows)
		var bad []connectors.BadRecord
		b.SetBytes(int64(len(line)))
		b.ReportAllocs()
		for n := 0; n < b.N; n += rows {
			dst.Rows, dst.Pos = 0, dst.Pos[:0]
			for i := range dst.Columns {
				dst.Columns[i].Reset()
			}
			p := dec.Decode(format.Chunk{Data: data, Line: 1}, dst, rows, &bad)
			if p.Records != rows || dst.Rows != rows || len(bad) > 0 {
				b.Fatalf("%+v, %d rows, bad %v", p, dst.Rows, bad)
			}
		}
	})
	b.Run("encoding-json", func(b *testing.B) {
		b.SetBytes(int64(len(line)))
		b.ReportAllocs()
		for n := 0; n < b.N; n++ {
			var v struct {
				Carrier  string `json:"carrier"`
				Flight   int32  `json:"flight"`
				Dest     string `json:"dest"`
				DepDelay *int32 `json:"dep_delay"`
				TimeHour string `json:"time_hour"`
			}
			if err := stdjson.Unmarshal([]byte(line), &v); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkEncode(b *testing.B) {
	s := connectortest.Columns(b, "carrier utf8", "flight i32", "dest utf8", "dep_delay i32?", "time_hour timestamp")
	const rows = 1024
	dst := record.NewBatch(s, rows)
	newFor(s)().Decode(format.Chunk{Data: bytes.Repeat([]byte(line), rows)}, dst, rows, nil)
	e := json.NewEncoder(s)
	var buf []byte
	b.ReportAllocs()
	for n := 0; n < b.N; n += rows {
		buf = e.Append(buf[:0], dst, 0, dst.Rows)
	}
	b.SetBytes(int64(len(buf) / rows))
}
