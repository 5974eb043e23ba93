"""Run the benchmarks, print the table and save every figure.

usage: python -m tests.bench [--quick] [--output FILE]
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path

from tests.bench.machine import choose_cores
from tests.bench.plan import FULL, QUICK
from tests.bench.report import as_json, write_table
from tests.bench.rounds import run_rounds


def main() -> None:
    """Measure, print, save; targets that are not met are said and do not change the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description="Measure the authority beside its peers.")
    parser.add_argument("--quick", action="store_true", help="short rounds and rough figures, less than four minutes")
    parser.add_argument("--output", type=Path, default=Path("bench-results.json"), help="where every figure goes, as JSON")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        samples = run_rounds(Path(directory), QUICK if options.quick else FULL, choose_cores(), say=_say)
    print(write_table(samples))
    options.output.write_text(json.dumps(as_json(samples), indent=2) + "\n", encoding="utf-8")


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
