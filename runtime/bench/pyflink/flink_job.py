"""flink_job.py WORKLOAD MODE ROWS [--check]: one run of the bench on PyFlink, in its process or thread mode.

With --check it prints what describes the output instead of dropping it. Parallelism is 1, all other settings are Flink's
own; there are no checkpoints.
"""

from __future__ import annotations

import sys

from pyflink.common import Configuration, Row, Types
from pyflink.datastream import KeyedProcessFunction, RuntimeContext, StreamExecutionEnvironment
from pyflink.datastream.state import ValueStateDescriptor
from pyflink.table import DataTypes, StreamTableEnvironment
from pyflink.table.udf import udf

SOURCE = """CREATE TABLE source (n BIGINT) WITH ('connector' = 'datagen', 'number-of-rows' = '{rows}',
    'fields.n.kind' = 'sequence', 'fields.n.start' = '0', 'fields.n.end' = '{last}')"""
SCALAR = "SELECT score(LPAD(CAST(n AS STRING), 8, '0'), n, n * 0.5E0) AS score FROM source"
KEYS = 1000


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
    tables = StreamTableEnvironment.create(env)
    tables.execute_sql(SOURCE.format(rows=rows, last=rows - 1))
    if workload == "scalar":
        tables.create_temporary_function("score", score)
        query, columns = SCALAR, "score DOUBLE"
    else:
        stream = tables.to_data_stream(tables.sql_query(f"SELECT MOD(n, {KEYS}) AS k, n FROM source"))
        keyed = stream.key_by(lambda row: row[0], key_type=Types.LONG())
        counted = keyed.process(Count(), output_type=Types.ROW_NAMED(["k", "total"], [Types.LONG(), Types.LONG()]))
        tables.create_temporary_view("counted", tables.from_data_stream(counted))
        query, columns = "SELECT k, total FROM counted", "k BIGINT, total BIGINT"
    if check:
        print(describe(workload, [list(row) for row in tables.execute_sql(query).collect()]))
        return
    tables.execute_sql(f"CREATE TABLE sink ({columns}) WITH ('connector' = 'blackhole')")
    tables.execute_sql(f"INSERT INTO sink {query}").wait()


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
