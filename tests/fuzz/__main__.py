"""`python -m tests.fuzz`: fuzz the protocol cores, then the listeners of a lab, for a bounded time."""

import argparse
import asyncio
import secrets
import sys

from tests.fuzz.listeners import fuzz_listeners
from tests.fuzz.running import Report, fuzz
from tests.fuzz.targets import CORES

LISTENERS = "listeners"


def main() -> int:
    names = [target.name for target in CORES] + [LISTENERS]
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0, help="for all targets together (60)")
    parser.add_argument("--seed", type=int, help="repeats a run; drawn and shown where none is given")
    parser.add_argument("--target", action="append", choices=names, help="only this one; may be repeated")
    parser.add_argument("--first", type=int, default=0, help="number of the first input (0)")
    parser.add_argument("--inputs", type=int, default=10**9, help="inputs a target gets at most")
    arguments = parser.parse_args()
    seed = secrets.randbelow(10**9) if arguments.seed is None else arguments.seed
    chosen = arguments.target or names
    share = arguments.seconds / len(chosen)
    print(f"seed {seed}, {share:.1f} s a target")
    reports: list[Report] = []
    for target in CORES:
        if target.name in chosen:
            reports.append(
                fuzz(target, seed=seed, seconds=share, maximum=arguments.inputs, first=arguments.first)
            )
            print(reports[-1].line(), flush=True)
    if LISTENERS in chosen:
        reports.append(asyncio.run(fuzz_listeners(seed=seed, seconds=share)))
        print(reports[-1].line(), flush=True)
    failures = [report.failure for report in reports if report.failure]
    for failure in failures:
        print(f"\n{failure}", file=sys.stderr)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
