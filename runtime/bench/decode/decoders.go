package main

import (
	"bytes"
	stdcsv "encoding/csv"
	stdjson "encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/tidemill/tidemill/connectors"
	"github.com/tidemill/tidemill/connectors/format"
	"github.com/tidemill/tidemill/connectors/spec"
	"github.com/tidemill/tidemill/runtime/record"
)

// columns is a decoder with the batch that it fills again and again.
type columns struct {
	decoder format.Decoder
	data    []byte
	dst     *record.Batch
}

func newColumns(name, options, header string, data []byte) (*columns, error) {
	schema, err := record.NewSchema([]record.Field{{Name: "carrier", Type: record.UTF8}, {Name: "flight", Type: record.I32},
		{Name: "dest", Type: record.UTF8}, {Name: "dep_delay", Type: record.I32, Nullable: true}, {Name: "time_hour", Type: record.Timestamp}})
	if err != nil {
		return nil, err
	}
	t := format.Lookup(name)
	v, errs := spec.ParseText(options, t.Options)
	if len(errs) > 0 {
		return nil, errs.Err()
	}
	decoding, err := t.Decoding(v, schema)
	if err != nil {
		return nil, err
	}
	decoder, err := decoding.New([]byte(header))
	if err != nil {
		return nil, err
	}
	dst := record.NewBatch(schema, records)
	dst.Pos = make([]int64, 0, records)
	return &columns{decoder, data, dst}, nil
}

// decode is one run: all chunks, of which the last is looked at.
func (c *columns) decode() (units int64, output string, err error) {
	var bad []connectors.BadRecord
	for range chunks {
		c.dst.Rows, c.dst.Pos = 0, c.dst.Pos[:0]
		for i := range c.dst.Columns {
			c.dst.Columns[i].Reset()
		}
		p := c.decoder.Decode(format.Chunk{Data: c.data, Line: 1}, c.dst, records, &bad)
		if p.Records != records || len(bad) > 0 {
			return 0, "", fmt.Errorf("%+v, bad %v", p, bad)
		}
	}
	list := make([]flight, c.dst.Rows)
	for i := range list {
		list[i] = flight{Carrier: string(c.dst.Columns[0].Bytes(i)), Flight: int32(c.dst.Columns[1].Int(i)), Dest: string(c.dst.Columns[2].Bytes(i)),
			TimeHour: time.UnixMicro(c.dst.Columns[4].Int(i))}
		if !c.dst.Columns[3].Null(i) {
			delay := int32(c.dst.Columns[3].Int(i))
			list[i].DepDelay = &delay
		}
	}
	return chunks * records, fingerprint(list), nil
}

// repeat is one run of a rival.
func repeat(data []byte, decode func([]byte) ([]flight, error)) (units int64, output string, err error) {
	var list []flight
	for range chunks {
		if list, err = decode(data); err != nil {
			return 0, "", err
		}
	}
	return chunks * records, fingerprint(list), nil
}

func byEncodingJSON(data []byte) ([]flight, error) {
	list := make([]flight, 0, records)
	for len(data) > 0 {
		end := bytes.IndexByte(data, '\n') + 1
		var f flight
		if err := stdjson.Unmarshal(data[:end], &f); err != nil {
			return nil, err
		}
		list, data = append(list, f), data[end:]
	}
	return list, nil
}

func byEncodingCSV(data []byte) ([]flight, error) {
	r := stdcsv.NewReader(bytes.NewReader(data))
	r.ReuseRecord = true
	list := make([]flight, 0, records)
	for {
		fields, err := r.Read()
		if err == io.EOF {
			return list, nil
		}
		if err != nil {
			return nil, err
		}
		number, err := strconv.ParseInt(fields[10], 10, 32)
		if err != nil {
			return nil, err
		}
		at, err := time.Parse(time.RFC3339, fields[18])
		if err != nil {
			return nil, err
		}
		f := flight{Carrier: strings.Clone(fields[9]), Flight: int32(number), Dest: strings.Clone(fields[13]), TimeHour: at}
		if fields[5] != "NA" {
			n, err := strconv.ParseInt(fields[5], 10, 32)
			if err != nil {
				return nil, err
			}
			delay := int32(n)
			f.DepDelay = &delay
		}
		list = append(list, f)
	}
}
