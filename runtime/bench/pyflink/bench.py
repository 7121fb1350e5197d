"""Measures Python operators beside PyFlink: a scalar function and a keyed count, in its process and its thread mode.

    python3 runtime/bench/pyflink/bench.py [--rows N] [--pairs N] [--write]      in the root of the repository

It installs PyFlink from its package into a virtual environment below the cache folder, which needs Java 17 and some 2 GB.
Each job runs with few and with many rows; the difference of the times, by the difference of the rows, is what a row costs,
without any start. PyFlink runs both in one process that has warmed up, Tidemill in a new one each. Sides run in turn, and
the output of each is checked before. Both have parallelism 1, and Tidemill a checkpoint every second, Flink none.

The keyed count has no process mode: each state access is a request to Java there, and 50,000 rows had not ended after
four minutes (README.md).
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

FLINK = "apache-flink==2.3.0"
HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[2]
CHECK_ROWS = 10_000
FEW = 50_000
SIDES = {"scalar": ("tidemill", "process", "thread"), "keyed": ("tidemill", "thread")}
KEYED_SHARE = 10  # PyFlink gets a tenth of the rows for the keyed count, which take it as long

JOB = """name: bench
checkpoint: {{interval: 1s, store: checkpoints}}
sources:
  rows:
    connector: datagen
    rows: {rows}
    columns:
      name: {{kind: text, length: 8}}
      n: {{kind: sequence}}
      x: {{kind: float, min: 0, max: 1}}
      k: {{kind: uniform, max: 999}}
operators:
  op: {operator}
sinks:
  out: {sink}
"""
OPERATORS = {
    "scalar": "{module: op.wasm, entry: score, input: rows}",
    "keyed": "{module: op.wasm, entry: count, input: rows, key_by: [k]}",
}


class Sample(NamedTuple):
    """Seconds of a run."""

    wall: float
    cpu: float


def main() -> None:
    """Runs the bench."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=2_000_000, help="rows of the longer runs")
    parser.add_argument("--pairs", type=int, default=3, help="runs of each side")
    parser.add_argument("--write", action="store_true", help="append the samples to runtime/bench/results/pyflink.jsonl")
    given = parser.parse_args()
    flink = install()
    with tempfile.TemporaryDirectory(prefix="tidemill-bench-") as folder:
        tidemill = build(Path(folder))
        for workload in SIDES:
            measure(given, workload, Path(folder), flink, tidemill)


def install() -> Path:
    """The Python of an environment with PyFlink."""
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"), "tidemill-bench", FLINK.replace("==", "-"))
    python = cache / "bin" / "python"
    if not (cache / "complete").exists():
        subprocess.run([sys.executable, "-m", "venv", cache], check=True)
        subprocess.run([python, "-m", "pip", "install", "-q", "--disable-pip-version-check", FLINK], check=True)
        (cache / "complete").touch()
    return python


def environment(flink: Path) -> dict[str, str]:
    """Environment variables for PyFlink: in thread mode its interpreter does not know of the virtual environment."""
    program = "import site; print(site.getsitepackages()[0])"
    packages = subprocess.run([flink, "-c", program], check=True, stdout=subprocess.PIPE, text=True).stdout.strip()
    return {**os.environ, "PYTHONPATH": packages}


def build(folder: Path) -> Path:
    """The command tidemill, with op.wasm beside it."""
    tidemill = folder / "tidemill"
    subprocess.run(["go", "build", "-o", tidemill, "./runtime/cmd/tidemill"], cwd=ROOT, check=True)
    subprocess.run([tidemill, "build", HERE / "op.py", "-o", folder / "op.wasm"], check=True, stdout=subprocess.DEVNULL)
    return tidemill


def measure(given: argparse.Namespace, workload: str, folder: Path, flink: Path, tidemill: Path) -> None:
    """Measures one workload on all sides and prints the ratios."""
    expected = f"{CHECK_ROWS} rows, {CHECK_ROWS if workload == 'keyed' else sum(n % 7 + 9 for n in range(CHECK_ROWS))}"
    commands = {side: [flink, HERE / "flink_job.py", workload, side] for side in SIDES[workload][1:]}
    env = environment(flink)
    for side, command in commands.items():
        said = subprocess.run(
            [*command, str(CHECK_ROWS), "--check"], check=True, stdout=subprocess.PIPE, text=True, env=env
        ).stdout
        agree(workload, side, said.strip().splitlines()[-1], expected)
    run_tidemill(workload, CHECK_ROWS, "{connector: file, path: out, format: json, input: op}", folder, tidemill)
    agree(workload, "tidemill", describe(workload, folder), expected)
    costs: dict[str, list[Sample]] = {side: [] for side in SIDES[workload]}
    for _ in range(given.pairs):
        for side in SIDES[workload]:
            rows = given.rows
            if side == "tidemill":
                sink = "{connector: blackhole, input: op}"
                few, many = (run_tidemill(workload, n, sink, folder, tidemill) for n in (FEW, rows))
            else:
                rows //= KEYED_SHARE if workload == "keyed" else 1
                run = subprocess.run([*commands[side], str(rows)], check=True, stdout=subprocess.PIPE, text=True, env=env)
                few, many = (Sample(*s) for s in json.loads(run.stdout.strip().splitlines()[-1]))
            n = rows - FEW
            costs[side].append(Sample((many.wall - few.wall) / n * 1e9, (many.cpu - few.cpu) / n * 1e9))
    report(given, workload, costs)


def agree(workload: str, side: str, said: str, expected: str) -> None:
    """Stops the bench where an output is wrong: no timing counts then."""
    if said != expected:
        sys.exit(f"{workload}, {side}: the output is {said!r}, expected {expected!r}")


def run_tidemill(workload: str, rows: int, sink: str, folder: Path, tidemill: Path) -> Sample:
    """One run of `tidemill run` from nothing."""
    for old in [*folder.glob("out/*"), *folder.glob("checkpoints/**/*")]:
        if old.is_file():
            old.unlink()
    (folder / "job.yaml").write_text(JOB.format(rows=rows, operator=OPERATORS[workload], sink=sink))
    return timed([tidemill, "run", "job.yaml"], folder)


def timed(command: list[object], folder: Path) -> Sample:
    """Runs a command and takes its time."""
    start = time.monotonic()
    with open(folder / "said", "w") as said:
        process = subprocess.Popen([str(c) for c in command], cwd=folder, stdout=said, stderr=said)
        _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"{command} failed:\n{(folder / 'said').read_text()[-4000:]}")
    return Sample(time.monotonic() - start, usage.ru_utime + usage.ru_stime)


def describe(workload: str, folder: Path) -> str:
    """What flink_job.describe tells, of the files of Tidemill's sink."""
    rows = [json.loads(line) for file in folder.glob("out/*") for line in file.read_text().splitlines()]
    if workload == "scalar":
        return f"{len(rows)} rows, {sum(row['value'] for row in rows):.0f}"
    last: dict[int, int] = {}
    for row in rows:
        last[row["k"]] = max(row["count"], last.get(row["k"], 0))
    return f"{len(rows)} rows, {sum(last.values())}"


def report(given: argparse.Namespace, workload: str, costs: dict[str, list[Sample]]) -> None:
    """Prints the medians and ratios, and keeps the samples."""
    print(f"{workload}: {given.rows:,} rows, {given.pairs} runs, ns a row")
    ours = costs["tidemill"]
    for side, samples in costs.items():
        wall, cpu = statistics.median(s.wall for s in samples), statistics.median(s.cpu for s in samples)
        ratios = [a.wall / b.wall for a, b in zip(samples, ours, strict=True)]
        print(
            f"  {side:9} wall {wall:9,.0f}   CPU {cpu:9,.0f}   "
            f"wall beside tidemill {statistics.median(ratios):6.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
        )
    if given.write:
        line = {
            "bench": "pyflink",
            "what": workload,
            "flink": FLINK,
            "rows": given.rows,
            "ns_a_row": costs,
            "machine": f"{os.cpu_count()} x {platform.processor() or platform.machine()}, {platform.system()}",
            "load": os.getloadavg()[0],
            "when": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        }
        with open(ROOT / "runtime" / "bench" / "results" / "pyflink.jsonl", "a") as results:
            results.write(json.dumps(line) + "\n")


if __name__ == "__main__":
    main()
