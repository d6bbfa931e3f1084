"""`make bench`: run every benchmark, print the table, write `build/bench.json`."""

import sys
from pathlib import Path

from bench import api_load, deploys, engine, line_overhead
from bench.rows import Row, table, write

BENCHMARKS = (deploys.measure, api_load.measure, line_overhead.measure, engine.measure)
TARGET = Path("build/bench.json")


def main() -> None:
    """Each benchmark adds rows. A goal that was missed is shown, and does not fail the run: machines are noisy."""
    rows: list[Row] = []
    for measure in BENCHMARKS:
        rows.extend(measure(lambda text: print(text, file=sys.stderr, flush=True)))
    write(rows, TARGET)
    print(table(rows))
    print(f"written to {TARGET}")


if __name__ == "__main__":
    main()
