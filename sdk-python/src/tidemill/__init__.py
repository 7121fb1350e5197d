"""What a Tidemill operator in Python is written with.

An operator turns rows of its input ports into rows of its output ports, and may keep state and timers by the key of its
input. It is built to WebAssembly by ``tidemill build`` or ``python -m tidemill build``, without any toolchain, and run by
``tidemill run``; ``tidemill.testing`` runs it in an ordinary test.

The smallest operator is one function::

    import tidemill

    @tidemill.row
    class Sized:
        text: str
        bytes: int

    @tidemill.map
    def sizes(text: str) -> Sized:
        return Sized(text, len(text.encode()))

Others are a class whose annotations declare their parts, and whose methods handle what comes: see ``Operator``.

A row is a class whose fields are columns, made by ``@tidemill.row`` or any other dataclass, or a single value. Annotations
give the types of columns:

================================  ===========================  ==============================================================
annotation                        column                       values
================================  ===========================  ==============================================================
``bool``                          bool
``int``, ``I64``                  i64
``I32``, ``I16``, ``I8``          i32, i16, i8                 ``int`` in their range
``float``, ``F32``                f64, f32
``Annotated[Decimal,``            decimal128(12,2)             ``Decimal`` that fits into so many digits; see ``decimal``
``decimal(12, 2)]``
``str``, ``bytes``                utf8, binary
``Timestamp``, ``TimestampTZ``    timestamp, timestamp_tz      ``int``: microseconds since 1970, which is fast
``datetime``, ``DatetimeTZ``      timestamp, timestamp_tz      aware ``datetime`` in UTC
``Date``                          date32                       ``int``: days since 1970
``date``                          date32                       ``date``
``list[X]``                       list of X                    ``list`` of what stands for X, none of them ``None``
``X | None``                      of X, nullable               ``None`` for null
``EventTime``                     timestamp                    the event time of the row: of an input row it is no column
================================  ===========================  ==============================================================

Fields of an input row need columns of their names. Whole numbers widen to the field's type, those of up to 32 bits also to
float, and decimals to more digits with as many behind the point; a column that may be null needs an Optional field.

# The ten rules

1. Order. Rows of one key arrive in the order of their split; across keys, ports and splits there is none. Outputs of one
   port keep emission order; between ports there is none.
2. Watermark. Each row and timer sees one fixed watermark: the last delivered before its input batch or, in a timer, the one
   that makes it fire. It starts as none and never goes back, also over a restore. A row is late if its event time <=
   watermark; late rows are delivered.
3. Advance. On an advance to W: all due event timers fire, then the watermark callback runs, then W is forwarded, so a
   timer's output is not late downstream.
4. Timers. Per key in order of time, then name in declaration order, then tag; across keys none. Never between rows of one
   batch. One set for <= W fires with the next advance (or is dropped if declared so); one set inside a timer for <= W fires
   in the same advance, later. Deleting or replacing counts at once, also for one already due; deleting what is absent does
   nothing. Processing-time timers fire between batches once processing time has reached them.
5. State. Access is to the current item's key and reads its own earlier writes. Lists keep append order; maps iterate in
   ascending key order over what was there when the iteration began. An expired cell is never returned; writing an equal
   value is a write.
6. Atomicity. State, timers and outputs of consumed items take effect together or not at all, and enter one checkpoint
   together. The host may cut a batch anywhere and run again an item whose frame failed; results must not depend on batch or
   frame boundaries.
7. Memory. Only declared state lasts. The instance may be replaced between any two frames; memory, globals and caches are
   hints. Nothing runs between calls.
8. Errors. An error names its item. With `fail` the job stops there; with `skip` or `dead_letter` that item alone has no
   effect and all others have theirs. A trap or exhausted fuel is an error of the item under way and costs the instance.
9. End. At the end of input the watermark becomes maximal: all event timers fire, then END runs. Pending processing-time
   timers never fire. A stop with savepoint is no end.
10. Determinism. Clock (constant in a frame, never back) and random come from the host. Same module, same frames since the
    instance was opened, same seeds: same answers. Do not emit in hash order, do not depend on NaN bits.
"""

from tidemill._column import Column, bits
from tidemill._declare import SDK_VERSION as __version__
from tidemill._errors import Error, ParamError
from tidemill._operator import (
    DAY,
    DEBUG,
    END_OF_TIME,
    ERROR,
    HOUR,
    INFO,
    MINUTE,
    NO_TIME,
    SECOND,
    TRACE,
    WARN,
    Operator,
    date_of,
    filter,
    flat_map,
    map,
    metric,
    param,
    port,
    state,
    time_of,
    timer,
    timestamp,
)
from tidemill._parts import Batch, BatchIn, BatchOut, Counter, Fired, Gauge, In, Key, List, Map, Out, Timer, Value
from tidemill._rows import InputRow, KeyRow, column, from_input, from_key, row
from tidemill._types import (
    EVENT_TIME,
    F32,
    I8,
    I16,
    I32,
    I64,
    ColumnType,
    Date,
    DatetimeTZ,
    EventTime,
    Timestamp,
    TimestampTZ,
    decimal,
)

__all__ = [
    "DAY",
    "DEBUG",
    "END_OF_TIME",
    "ERROR",
    "EVENT_TIME",
    "F32",
    "HOUR",
    "I8",
    "I16",
    "I32",
    "I64",
    "INFO",
    "MINUTE",
    "NO_TIME",
    "SECOND",
    "TRACE",
    "WARN",
    "Batch",
    "BatchIn",
    "BatchOut",
    "Column",
    "ColumnType",
    "Counter",
    "Date",
    "DatetimeTZ",
    "Error",
    "EventTime",
    "Fired",
    "Gauge",
    "In",
    "InputRow",
    "Key",
    "KeyRow",
    "List",
    "Map",
    "Operator",
    "Out",
    "ParamError",
    "Timer",
    "Timestamp",
    "TimestampTZ",
    "Value",
    "__version__",
    "bits",
    "column",
    "date_of",
    "decimal",
    "filter",
    "flat_map",
    "from_input",
    "from_key",
    "map",
    "metric",
    "param",
    "port",
    "row",
    "state",
    "time_of",
    "timer",
    "timestamp",
]
