package file

import (
	"context"
	"io"
	"strings"
	"testing"

	"github.com/tidemill/tidemill/connectors"
	"github.com/tidemill/tidemill/internal/vfs"
	"github.com/tidemill/tidemill/runtime/record"
)

// The whole way of a flight from a file on disk into a batch: blocks, lines, five columns of nineteen.
func BenchmarkRead(b *testing.B) {
	const header = "year,month,day,dep_time,sched_dep_time,dep_delay,arr_time,sched_arr_time,arr_delay,carrier,flight,tailnum,origin,dest,air_time,distance,hour,minute,time_hour\n"
	const line = "2013,1,1,517,515,2,830,819,11,UA,1545,N14228,EWR,IAH,227,1400,5,15,2013-01-01T10:00:00Z\n"
	const rows = 100_000
	ctx := context.Background()
	dir := b.TempDir()
	put(b, vfs.Disk, dir+"/flights.csv", header+strings.Repeat(line, rows))
	s := mustSource(b, connectors.Env{FS: vfs.Disk, Dir: dir, Parallelism: 1}, "{path: flights.csv, format: {type: csv, header: true, null: NA}, "+
		"schema: {carrier: utf8, flight: i32, dep_delay: i32?, dest: utf8, time_hour: timestamp}}")
	e, _ := s.Enumerator(ctx, nil)
	splits, _, err := e.Discover(ctx)
	if err != nil {
		b.Fatal(err)
	}
	batch := record.NewBatch(s.schema, record.RowsMax)
	b.SetBytes(int64(len(line)))
	b.ReportAllocs()
	b.ResetTimer()
	for n := 0; n < b.N; n += rows {
		r, err := s.Open(ctx, splits[0], record.Position{})
		if err != nil {
			b.Fatal(err)
		}
		got := 0
		var bad []connectors.BadRecord
		for err == nil {
			batch.Rows, batch.Pos = 0, batch.Pos[:0]
			for i := range batch.Columns {
				batch.Columns[i].Reset()
			}
			err = r.Next(ctx, batch, record.RowsMax, &bad)
			got += batch.Rows
		}
		if err != io.EOF || got != rows {
			b.Fatal(err, got)
		}
		r.Close()
	}
}
