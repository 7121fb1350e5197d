package sink

import (
	"context"

	"github.com/tidemill/tidemill/connectors"
)

// Publisher publishes what the writers of one sink hand over. One goroutine at a time uses it.
type Publisher struct {
	name      string
	committer connectors.Committer // nil where the sink publishes nothing
}

// OpenPublisher opens the committer of a sink.
func OpenPublisher(ctx context.Context, name string, s connectors.Sink) (*Publisher, error) {
	c, err := s.Committer(ctx)
	if err != nil {
		return nil, coded(ErrPublish, name, "opening the committer", err)
	}
	return &Publisher{name: name, committer: c}, nil
}

// RequireEmpty refuses to begin anew where output of an earlier job is in the way: both would be mixed. It changes nothing.
func (p *Publisher) RequireEmpty(ctx context.Context) error {
	if p.committer == nil {
		return nil
	}
	found, err := p.committer.Existing(ctx)
	if err != nil {
		return coded(ErrPublish, p.name, "looking at its output", err)
	}
	if found != "" {
		return ErrOutput.Errorf("the output of an earlier job is there: %s", found).At("sink %s", p.name).
			Do("move or delete it, or give the sink another place; to go on with that job, use its checkpoint store and not --fresh")
	}
	return nil
}

// Recover brings the sink's output to what a restored checkpoint (0: none) promises, before any writer opens.
func (p *Publisher) Recover(ctx context.Context, checkpoint uint64, pending []connectors.Committable, states [][]byte) error {
	if p.committer == nil {
		return nil
	}
	return coded(ErrPublish, p.name, "recovering its output", p.committer.Recover(ctx, checkpoint, pending, states))
}

// Publish makes the committables of a completed checkpoint visible; doing it again does nothing.
func (p *Publisher) Publish(ctx context.Context, committables []connectors.Committable) error {
	if p.committer == nil || len(committables) == 0 {
		return nil
	}
	return coded(ErrPublish, p.name, "publishing", p.committer.Commit(ctx, committables))
}

// Close frees the committer.
func (p *Publisher) Close() error {
	if p.committer == nil {
		return nil
	}
	return coded(ErrPublish, p.name, "closing the committer", p.committer.Close())
}
