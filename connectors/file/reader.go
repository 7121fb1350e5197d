package file

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"

	"github.com/tidemill/tidemill/connectors"
	"github.com/tidemill/tidemill/connectors/format"
	"github.com/tidemill/tidemill/internal/errcode"
	"github.com/tidemill/tidemill/internal/vfs"
	"github.com/tidemill/tidemill/runtime/record"
)

const (
	blockBytes = 256 << 10 // read at once
	// batchBytesMax ends a batch early: frames aim at 4 MiB, and a batch must never approach what i32 offsets can address.
	batchBytesMax = 1 << 20
	rawBytesMax   = 64 << 10 // of a record too long that are kept
)

// mode is what a reader does with the bytes at its offset.
type mode int

const (
	decoding mode = iota // they begin a record
	aligning             // they belong to a record of the split before
	skipping             // they belong to a record too long
)

// reader is a connectors.Reader.
type reader struct {
	source  *source
	spec    splitSpec
	path    string
	file    vfs.File
	decoder format.Decoder

	mode     mode
	buf      []byte
	from, to int    // buf[from:to] has been read and is not used up
	offset   int64  // of buf[from] in the file
	base     int64  // offset of the next record: the position
	line     int64  // of base, 0 where unknown
	records  int64  // delivered
	skipped  []byte // the beginning of the record that is skipped
	quoted   bool   // a quote of it is open
	lines    int64  // line ends in it so far
	ended    bool   // buf[:to] reaches the end of the split
	done     bool
}

// start checks the file against the split and goes to the position.
func (r *reader) start(at record.Position) error {
	info, err := r.file.Stat()
	if err != nil {
		return readError(err, "looking at the file failed", r.path)
	}
	if size, was := info.Size(), max(at.Offset, r.spec.End, int64(r.spec.PrintBytes)); size < was {
		return ErrReplaced.Errorf("the file has %d bytes, and had %d before", size, was).At("%s", r.path).Do(replacedHint)
	}
	print, err := fingerprint(r.file, r.spec.PrintBytes)
	if err != nil {
		return readError(err, "reading the file failed", r.path)
	}
	if print != r.spec.Print {
		return ErrReplaced.Errorf("the file begins otherwise than when its splits were made").At("%s", r.path).Do(replacedHint)
	}
	r.buf = make([]byte, min(blockBytes, r.source.recordBytesMax+1))
	switch first := int64(len(r.spec.Header)); {
	case at.Offset > r.spec.Start:
		r.base, r.offset = at.Offset, at.Offset
	case r.spec.Start == first:
		r.base, r.offset, r.line = first, first, 1+int64(bytes.Count(r.spec.Header, []byte{'\n'}))
	default:
		r.base, r.offset, r.mode = r.spec.Start, r.spec.Start-1, aligning
	}
	// A checkpoint may have been taken after the split's last record and before the reader's word that it was the last: what
	// begins there is the next split's.
	r.ended = r.mode == decoding && r.spec.End > 0 && r.offset >= r.spec.End
	return nil
}

const replacedHint = "put the file back, or start anew with --fresh"

// Position implements connectors.Reader.
func (r *reader) Position() record.Position {
	return record.Position{Offset: r.base, Records: r.records, Done: r.done}
}

// Close implements connectors.Reader.
func (r *reader) Close() error {
	if r.file == nil {
		return nil
	}
	return r.file.Close()
}

// Next implements connectors.Reader.
func (r *reader) Next(ctx context.Context, dst *record.Batch, max int, bad *[]connectors.BadRecord) error {
	if r.done {
		return io.EOF
	}
	before, badBefore := r.records, len(*bad)
	defer func() { r.name((*bad)[badBefore:]) }()
	for {
		if err := ctx.Err(); err != nil && r.records == before {
			return err
		}
		r.use(dst, max-int(r.records-before), bad)
		if r.ended && r.from == r.to {
			r.done = true
			if r.records == before {
				return io.EOF
			}
			return nil
		}
		if int(r.records-before) >= max || dst.Size() >= batchBytesMax {
			return nil
		}
		if r.from < r.to && r.ended {
			continue // the mode has changed: there is more to use
		}
		n, err := r.fill()
		if err != nil {
			return err
		}
		if n == 0 && !r.ended {
			if r.records > before {
				return nil
			}
			return connectors.ErrIdle
		}
	}
}

// use consumes what it can of the buffer: at most max records.
func (r *reader) use(dst *record.Batch, max int, bad *[]connectors.BadRecord) {
	switch r.mode {
	case aligning:
		if r.toLineEnd() || r.ended {
			r.mode, r.base = decoding, r.offset
		}
	case skipping:
		if r.toRecordEnd() || r.ended {
			r.tooLong(bad)
			r.mode, r.base = decoding, r.offset
		}
	case decoding:
		if r.from == r.to {
			return
		}
		c := format.Chunk{Data: r.buf[r.from:r.to], Offset: r.base, Line: r.line, Final: r.ended}
		p := r.decoder.Decode(c, dst, max, bad)
		r.from += p.Bytes
		r.offset += int64(p.Bytes)
		r.base = r.offset
		r.records += int64(p.Records)
		if r.line > 0 {
			r.line += p.Lines
		}
	}
}

// toLineEnd consumes the buffer up to its first line end and says whether it has one.
func (r *reader) toLineEnd() bool {
	n := bytes.IndexByte(r.buf[r.from:r.to], '\n') + 1
	found := n > 0
	if !found {
		n = r.to - r.from
	}
	r.from += n
	r.offset += int64(n)
	return found
}

// toRecordEnd is toLineEnd for the record that is skipped, whose line ends within quotes do not end it.
func (r *reader) toRecordEnd() bool {
	for r.from < r.to {
		before := r.from
		found := r.toLineEnd()
		r.countQuotes(r.buf[before:r.from])
		if found {
			r.lines++
			if !r.quoted {
				return true
			}
		}
	}
	return false
}

func (r *reader) countQuotes(data []byte) {
	if q := r.source.decoding.Quote; q != 0 && bytes.Count(data, []byte{q})%2 == 1 {
		r.quoted = !r.quoted
	}
}

// tooLong delivers the record that has been skipped as a bad one.
func (r *reader) tooLong(bad *[]connectors.BadRecord) {
	c := format.Chunk{Offset: r.base, Line: r.line}
	*bad = append(*bad, c.Bad(0, 0, r.skipped, format.ErrTooLong.Errorf("the record is longer than record_bytes_max, %d bytes: %s",
		r.source.recordBytesMax, format.Shown(r.skipped)).Do("raise record_bytes_max of the source if the record is sound")))
	r.skipped = nil
	r.records++
	if r.line > 0 {
		r.line += r.lines
	}
}

// name adds the file to the places of bad records.
func (r *reader) name(bad []connectors.BadRecord) {
	for i := range bad {
		if e := errcode.Of(bad[i].Reason); e != nil {
			e.Place = r.path + ", " + e.Place
		}
	}
}

// fill reads the next block and returns its length. It sets ended where the buffer then holds the end of the split; 0 and not
// ended means that a file that is followed has nothing new.
func (r *reader) fill() (int, error) {
	r.makeRoom()
	at := r.offset + int64(r.to)
	n, err := r.file.ReadAt(r.buf[r.to:], at)
	if err != nil && err != io.EOF {
		return 0, readError(err, "reading the file failed", r.path)
	}
	r.to += n
	if r.spec.End > 0 {
		r.cut()
	}
	if n == 0 {
		return 0, r.atEnd(at)
	}
	return n, nil
}

// makeRoom moves what is left to the front of the buffer, and where that is a record which fills the buffer makes it larger, or
// skips the record where it is at the limit.
func (r *reader) makeRoom() {
	if r.from > 0 {
		r.to = copy(r.buf, r.buf[r.from:r.to])
		r.from = 0
	}
	if r.to < len(r.buf) {
		return
	}
	if limit := r.source.recordBytesMax + 1; len(r.buf) < limit { // and a line feed
		r.buf = append(r.buf, make([]byte, min(len(r.buf), limit-len(r.buf)))...)
		return
	}
	r.skipped = bytes.Clone(r.buf[:min(r.to, rawBytesMax)])
	r.mode, r.quoted, r.lines = skipping, false, int64(bytes.Count(r.buf[:r.to], []byte{'\n'}))
	r.countQuotes(r.buf[:r.to])
	r.offset += int64(r.to)
	r.to = 0
}

// cut ends the split with the line in which byte End-1 is. The buffer begins at the offset.
func (r *reader) cut() {
	last := int(max(r.spec.End-1-r.offset, 0))
	if last >= r.to {
		return
	}
	if n := bytes.IndexByte(r.buf[last:r.to], '\n'); n >= 0 {
		r.to = last + n + 1
		r.ended = true
	}
}

// atEnd treats the end of the file, which is at an offset.
func (r *reader) atEnd(at int64) error {
	if !r.source.tail {
		if at < r.spec.End {
			return ErrReplaced.Errorf("the file ends at byte %d, and had %d when its splits were made", at, r.spec.End).At("%s", r.path).
				Do(replacedHint)
		}
		r.ended = true
		return nil
	}
	named, err := r.source.env.FS.Stat(r.path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return ErrReplaced.Errorf("the file was removed after byte %d of it was read", at).At("%s", r.path).Do(tailHint)
	case err != nil:
		return readError(err, "looking at the file failed", r.path)
	}
	held, err := r.file.Stat()
	if err != nil {
		return readError(err, "looking at the file failed", r.path)
	}
	if !vfs.SameFile(named, held) || named.Size() < at {
		return ErrReplaced.Errorf("the file was truncated or rotated after byte %d of it was read", at).At("%s", r.path).Do(tailHint)
	}
	return nil
}

const tailHint = "this source follows files that only grow and stay: begin new files under new names"
