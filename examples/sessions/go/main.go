// Command sessions has two operators on the clicks of users: sessions joins clicks that follow each other by event time, presence
// says by processing time who is here now.
package main

import (
	"errors"
	"time"

	"github.com/tidemill/tidemill/sdk-go/operator"
	"github.com/tidemill/tidemill/sdk-go/state"
)

func init() {
	operator.Register[sessions]("sessions", "Joins the clicks of a user between which there is no gap into a session.")
	operator.Register[presence]("presence", "Says when a user comes and, some time after the last click, goes.")
}

func main() {}

// click is what both operators read.
type click struct {
	User string                `tm:"user"`
	Page operator.Null[string] `tm:"page"`
	At   operator.Timestamp    `tm:",event_time"`
}

// session is a row of sessions.
type session struct {
	operator.FromKey
	Start  operator.Timestamp `tm:"start"`
	End    operator.Timestamp `tm:"end"` // of its last click
	Clicks int64              `tm:"clicks"`
}

// open is a session that may go on.
type open struct {
	Start  operator.Timestamp
	End    operator.Timestamp
	Clicks int64
}

type sessions struct {
	operator.Base
	Gap time.Duration `param:"gap" default:"30m" doc:"so long after the last click a session is over"`

	Clicks   operator.In[click]    `tm:"clicks"`
	Sessions operator.Out[session] `tm:"sessions"`
	Current  state.Value[open]     `tm:"open,prefetch"`
	Over     operator.Timer        `tm:"over" doc:"the end of the gap after the last click"`
	Closed   operator.Counter      `tm:"sessions_closed" doc:"sessions that are over"`
	Late     operator.Counter      `tm:"late_clicks" doc:"clicks that came when their session was over"`
	Longest  operator.Gauge        `tm:"longest_session_s" doc:"the longest session that this subtask has seen, in seconds"`

	longest time.Duration // a cache of the gauge: a new instance begins anew, as its doc says
}

// Open attaches the handlers.
func (s *sessions) Open() error {
	if s.Gap <= 0 {
		return operator.ParamError("gap", "it must be positive")
	}
	s.Clicks.OnRow(s.onClick)
	s.Over.OnFire(s.onOver)
	return nil
}

func (s *sessions) onClick(c *click) error {
	if !c.Page.Valid {
		return errors.New("a click without a page")
	}
	if c.At.Add(s.Gap) <= s.Watermark() {
		s.Late.Add(1)
		return nil
	}
	o := s.Current.Get()
	if o.Clicks == 0 {
		o.Start, o.End = c.At, c.At
	}
	o.Start, o.End = min(o.Start, c.At), max(o.End, c.At)
	o.Clicks++
	s.Current.Set(o)
	s.Over.Set(o.End.Add(s.Gap))
	return nil
}

func (s *sessions) onOver(operator.Fired) error {
	o := s.Current.Get()
	s.Current.Clear()
	s.Sessions.Emit(session{Start: o.Start, End: o.End, Clicks: o.Clicks})
	s.Closed.Add(1)
	if length := o.End.Time().Sub(o.Start.Time()); length > s.longest {
		s.longest = length
		s.Longest.Set(length.Seconds())
	}
	return nil
}

// change is a row of presence.
type change struct {
	operator.FromKey
	Here bool `tm:"here"`
}

type presence struct {
	operator.Base
	Quiet time.Duration `param:"quiet" default:"5m" doc:"so long after the last click a user is gone"`

	Clicks  operator.In[click]   `tm:"clicks"`
	Changes operator.Out[change] `tm:"changes"`
	Here    state.Value[bool]    `tm:"here,prefetch"`
	Gone    operator.Timer       `tm:"gone,processing" doc:"when a user has been quiet for long enough"`
}

// Open attaches the handlers.
func (p *presence) Open() error {
	p.Clicks.OnRow(p.onClick)
	p.Gone.OnFire(p.onGone)
	return nil
}

func (p *presence) onClick(*click) error {
	if !p.Here.Get() {
		p.Here.Set(true)
		p.Changes.Emit(change{Here: true})
	}
	p.Gone.Set(p.ProcessingTime().Add(p.Quiet)) // in place of the one before
	return nil
}

func (p *presence) onGone(operator.Fired) error {
	p.Here.Clear()
	p.Changes.Emit(change{Here: false})
	return nil
}
