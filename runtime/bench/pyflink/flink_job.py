"""flink_job.py WORKLOAD MODE ROWS [--check]: the bench on PyFlink, in its process or thread mode.

It runs the job three times in one process: with few rows to warm up, with few, and with ROWS, and prints the seconds of the
last two, wall time and CPU, as JSON; with --check it runs once and prints what describes the output. Parallelism is 1, all
other settings are Flink's own; there are no checkpoints.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from pathlib import Path

from pyflink.common import Configuration, Row, Types
from pyflink.datastream import KeyedProcessFunction, RuntimeContext, StreamExecutionEnvironment
from pyflink.datastream.state import ValueStateDescriptor
from pyflink.table import DataTypes, StreamTableEnvironment
from pyflink.table.udf import udf

SOURCE = """CREATE TABLE source (n BIGINT, k BIGINT) WITH ('connector' = 'datagen', 'number-of-rows' = '{rows}',
    'rows-per-second' = '1000000000', 'fields.n.kind' = 'sequence', 'fields.n.start' = '0', 'fields.n.end' = '{last}',
    'fields.k.min' = '0', 'fields.k.max' = '999')"""
SCALAR = "SELECT score(LPAD(CAST(n AS STRING), 8, '0'), n, n * 0.5E0) AS score FROM source"
FEW = 50_000


@udf(result_type=DataTypes.DOUBLE())
def score(name: str, n: int, x: float) -> float:
    """Computes one number of a row."""
    return n % 7 + len(name) + (1.0 if x >= 0 else 2.0)


class Count(KeyedProcessFunction):
    """Counts the rows of each key and says each count."""

    def open(self, context: RuntimeContext) -> None:
        """Gets the state."""
        self.count = context.get_state(ValueStateDescriptor("count", Types.LONG()))

    def process_element(self, value, ctx):
        """Counts a row."""
        n = (self.count.value() or 0) + 1
        self.count.update(n)
        yield Row(value[0], n)


def main(workload: str, mode: str, rows: int, check: bool) -> None:
    """Runs it."""
    config = Configuration()
    config.set_string("parallelism.default", "1")
    config.set_string("python.execution-mode", mode)
    config.set_string("python.executable", sys.executable)
    config.set_string("python.client.executable", sys.executable)
    env = StreamExecutionEnvironment.get_execution_environment(config)
    if check:
        tables, query, _ = declare(env, workload, rows)
        print(describe(workload, [list(row) for row in tables.execute_sql(query).collect()]))
        return
    meter = Meter()
    samples = [sample(env, workload, n, meter) for n in (FEW, FEW, rows)]
    print(json.dumps(samples[1:]))


def declare(env: StreamExecutionEnvironment, workload: str, rows: int) -> tuple[StreamTableEnvironment, str, str]:
    """Declares a run in a planner of its own; returns the query and the columns of its result."""
    tables = StreamTableEnvironment.create(env)
    tables.execute_sql(SOURCE.format(rows=rows, last=rows - 1))
    if workload == "scalar":
        tables.create_temporary_function("score", score)
        return tables, SCALAR, "score DOUBLE"
    stream = tables.to_data_stream(tables.sql_query("SELECT k, n FROM source"))
    keyed = stream.key_by(lambda row: row[0], key_type=Types.LONG())
    counted = keyed.process(Count(), output_type=Types.ROW_NAMED(["k", "total"], [Types.LONG(), Types.LONG()]))
    tables.create_temporary_view("counted", tables.from_data_stream(counted))
    return tables, "SELECT k, total FROM counted", "k BIGINT, total BIGINT"


def sample(env: StreamExecutionEnvironment, workload: str, rows: int, meter: Meter) -> tuple[float, float]:
    """Runs the job and takes its time."""
    tables, query, columns = declare(env, workload, rows)
    tables.execute_sql(f"CREATE TABLE sink ({columns}) WITH ('connector' = 'blackhole')")
    cpu, start = meter.seconds(), time.monotonic()
    tables.execute_sql(f"INSERT INTO sink {query}").wait()
    return time.monotonic() - start, meter.seconds() - cpu


class Meter:
    """Adds up the CPU time of this process and of all below it: Java, and workers, which end with the job."""

    def __init__(self) -> None:
        self.seen: dict[tuple[int, int], float] = {}  # seconds, by process and its start
        threading.Thread(target=self.watch, daemon=True).start()

    def watch(self) -> None:
        """Looks often enough to miss little of a process that ends."""
        while True:
            self.look()
            time.sleep(0.2)

    def look(self) -> None:
        """Notes what each process has used by now."""
        stats = {}
        for file in Path("/proc").glob("[0-9]*/stat"):
            try:
                stats[int(file.parent.name)] = file.read_text().rpartition(")")[2].split()
            except OSError:
                continue  # it has ended
        below = {os.getpid()}
        for pid in sorted(stats):  # a process has a greater number than its parent, but where numbers begin anew
            if int(stats[pid][1]) in below:
                below.add(pid)
        for pid in below:
            used, started = sum(map(int, stats[pid][11:13])), int(stats[pid][19])
            self.seen[pid, started] = used / os.sysconf("SC_CLK_TCK")

    def seconds(self) -> float:
        """The sum."""
        self.look()
        return sum(list(self.seen.values()))


def describe(workload: str, rows: list[list[float]]) -> str:
    """Tells whether an output is right: the sum of the scores, or of the last counts of all keys, and the number of rows."""
    if workload == "scalar":
        return f"{len(rows)} rows, {sum(row[0] for row in rows):.0f}"
    last: dict[float, float] = {}
    for key, count in rows:
        last[key] = max(count, last.get(key, 0))
    return f"{len(rows)} rows, {sum(last.values()):.0f}"


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), "--check" in sys.argv)
