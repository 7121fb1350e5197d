// Command go is the benchmark's three operators in Go, as a user would write them.
package main

import (
	"encoding/json"

	"github.com/tidemill/tidemill/sdk-go/operator"
	"github.com/tidemill/tidemill/sdk-go/state"
)

func init() {
	operator.Register[price]("price", "What each row is worth.")
	operator.Register[spend]("spend", "What each user has spent so far.")
	operator.Register[parse]("parse", "Reads an order in JSON.")
}

func main() {}

type sale struct {
	User     string
	Quantity int64
	Price    float64
}

type worth struct {
	Total float64
}

type price struct {
	In  operator.In[sale]
	Out operator.Out[worth]
	operator.Base
}

// Open attaches the handler.
func (p *price) Open() error {
	p.In.OnRow(func(s *sale) error {
		p.Out.Emit(worth{Total: float64(s.Quantity)*s.Price + float64(len(s.User))})
		return nil
	})
	return nil
}

type paid struct {
	Price float64
}

type spent struct {
	User  operator.FromKey
	Spent float64
}

type spend struct {
	In    operator.In[paid]
	Out   operator.Out[spent]
	Spent state.Value[float64] `tm:",prefetch"`
	operator.Base
}

// Open attaches the handler.
func (s *spend) Open() error {
	s.In.OnRow(func(p *paid) error {
		sum := s.Spent.Edit()
		*sum += p.Price
		s.Out.Emit(spent{Spent: *sum})
		return nil
	})
	return nil
}

type text struct {
	Text string
}

type order struct {
	ID    int64
	Items int64
	Total float64
}

type document struct {
	ID    int64 `json:"id"`
	Items []struct {
		Quantity int64   `json:"quantity"`
		Price    float64 `json:"price"`
	} `json:"items"`
}

type parse struct {
	In  operator.In[text]
	Out operator.Out[order]
	operator.Base
}

// Open attaches the handler.
func (p *parse) Open() error {
	p.In.OnRow(func(t *text) error {
		var d document
		if err := json.Unmarshal([]byte(t.Text), &d); err != nil {
			return err
		}
		o := order{ID: d.ID, Items: int64(len(d.Items))}
		for _, item := range d.Items {
			o.Total += float64(item.Quantity) * item.Price
		}
		p.Out.Emit(o)
		return nil
	})
	return nil
}
