"""`make bench`: run every benchmark, print the table, write `build/bench.json`."""

import sys
import traceback
from pathlib import Path

from bench import api_load, deploys, engine, line_overhead, runtime
from bench.rows import Row, table, write

BENCHMARKS = (deploys, api_load, line_overhead, engine, runtime)
TARGET = Path("build/bench.json")


def main() -> None:
    """Each benchmark adds rows. A goal that was missed is shown, and does not fail the run: machines are noisy.

    One that breaks fails the run once the others have been measured: their rows are kept.
    """
    rows: list[Row] = []
    broken: list[str] = []
    for benchmark in BENCHMARKS:
        try:
            rows.extend(benchmark.measure(lambda text: print(text, file=sys.stderr, flush=True)))
        except Exception:  # noqa: BLE001  (told, and the run fails at its end)
            traceback.print_exc()
            broken.append(benchmark.__name__)
        write(rows, TARGET)
    print(table(rows))
    print(f"written to {TARGET}")
    if broken:
        sys.exit(f"broken: {', '.join(broken)}")


if __name__ == "__main__":
    main()
