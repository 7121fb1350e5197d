package sink

import "github.com/tidemill/tidemill/internal/errcode"

// The codes of this package.
var (
	ErrWrite   = errcode.New("TM-RUN-010", errcode.Failed, "a sink cannot be written")
	ErrPublish = errcode.New("TM-RUN-011", errcode.Failed, "a sink's output cannot be published")
	ErrOutput  = errcode.New("TM-RUN-012", errcode.Invalid, "a job that begins anew finds output of an earlier one")
)

// coded gives an error of a connector that has no code of its own one of this package.
func coded(code *errcode.Code, sink, doing string, err error) error {
	if err == nil || errcode.Of(err) != nil {
		return err
	}
	return code.Errorf("%s failed", doing).At("sink %s", sink).Because(err).
		Do("check that the sink's target is reachable and has room; run the job again to go on from its last checkpoint")
}
