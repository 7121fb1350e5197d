package demo

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"

	"github.com/tidemill/tidemill/runtime/telemetry"
)

// Message is a line from a worker; one of the fields is set.
type Message struct {
	Progress *Progress           `json:"progress,omitempty"` // every few milliseconds: what a kill leaves behind is counted from it
	Snapshot *telemetry.Snapshot `json:"snapshot,omitempty"` // for the view
	Text     string              `json:"text,omitempty"`     // an event or a log line
	Result   *Result             `json:"result,omitempty"`   // the last line of a worker that ended in order
	Error    string              `json:"error,omitempty"`
}

// Progress is how far a worker is.
type Progress struct {
	Records           int64  `json:"records"`            // read so far, those before a restored checkpoint included
	Checkpoint        uint64 `json:"checkpoint"`         // the newest complete one, 0: none
	CheckpointRecords int64  `json:"checkpoint_records"` // read before it
	Completed         int    `json:"completed"`          // checkpoints of this worker
}

// Result is what a worker says when its job has ended.
type Result struct {
	Outcome     string     `json:"outcome"`
	Restored    uint64     `json:"restored_checkpoint"`
	Positions   []Position `json:"restored_positions,omitempty"`
	Checkpoints int        `json:"checkpoints"`
	Records     int64      `json:"records"` // read by this worker
	Late        int64      `json:"late"`
	Bad         int64      `json:"bad"`
	ElapsedMs   int64      `json:"elapsed_ms"`
}

// Position is where a split went on.
type Position struct {
	Split   string `json:"split"`
	Offset  int64  `json:"offset"`  // byte of the file
	Records int64  `json:"records"` // of the split before it
	Done    bool   `json:"done"`
}

// Sender writes messages. It is for one goroutine at a time.
type Sender struct{ out *json.Encoder }

// NewSender returns a sender to a pipe.
func NewSender(out io.Writer) *Sender { return &Sender{json.NewEncoder(out)} }

// Send writes one message; the error is that of the pipe.
func (s *Sender) Send(m Message) error { return s.out.Encode(m) }

// messageBytesMax limits a line: a snapshot of a few nodes has some kilobytes.
const messageBytesMax = 1 << 20

// receive calls got with each message until the worker's output ends.
func receive(from io.Reader, got func(Message) error) error {
	lines := bufio.NewScanner(from)
	lines.Buffer(make([]byte, 64<<10), messageBytesMax)
	for lines.Scan() {
		var m Message
		if err := json.Unmarshal(lines.Bytes(), &m); err != nil {
			// A kill may cut the last line, and nothing but that.
			if !lines.Scan() {
				break
			}
			return fmt.Errorf("the worker wrote a line that is no message: %w", err)
		}
		if err := got(m); err != nil {
			return err
		}
	}
	return lines.Err()
}
