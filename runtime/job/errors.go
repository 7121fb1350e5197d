package job

import "github.com/tidemill/tidemill/internal/errcode"

// The errors of this package; those of single fields are of connectors/spec.
var (
	errRead       = errcode.New("TM-JOB-001", errcode.Invalid, "The job file cannot be read")
	errName       = errcode.New("TM-JOB-002", errcode.Invalid, "A name cannot be used or is given twice")
	errInput      = errcode.New("TM-JOB-003", errcode.Invalid, "An input is written in a way that is not understood")
	errUnknown    = errcode.New("TM-JOB-004", errcode.Invalid, "A name refers to nothing in the job")
	errCycle      = errcode.New("TM-JOB-005", errcode.Invalid, "Operators feed each other in a circle")
	errUnused     = errcode.New("TM-JOB-006", errcode.Invalid, "A source or sink is connected to nothing")
	errDeadLetter = errcode.New("TM-JOB-007", errcode.Invalid, "A sink cannot take dead letters and other records")
	errLimit      = errcode.New("TM-JOB-008", errcode.Invalid, "The job has more of something than a job may have")
	errKey        = errcode.New("TM-JOB-009", errcode.Invalid, "key_by is written in a way that is not understood")
	errParallel   = errcode.New("TM-JOB-010", errcode.Invalid, "A parallelism is greater than max_parallelism")
	errSecrets    = errcode.New("TM-JOB-011", errcode.Invalid, "The secrets file cannot be used")
	errMany       = errcode.New("TM-JOB-012", errcode.Invalid, "There are more errors than are shown")
)
