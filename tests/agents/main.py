"""Runs the parts. See `run`."""

import concurrent.futures
import sys
import traceback
from pathlib import Path

from checks import Checks
from parts import abandoned, clients, conformance, frameworks, tasks

PARTS = {
    "abandoned": abandoned.run,
    "stdio": clients.stdio,
    "python": clients.python,
    "typescript": clients.typescript,
    "tasks": tasks.run,
    "conformance": conformance.run,
    "frameworks": frameworks.run,
}
# They measure, so no other runs next to them.
ALONE = ["abandoned"]
# The others mostly wait.
THREADS = 2


def main():
    program, work, *names = sys.argv[1:]
    unknown = [it for it in names if it not in PARTS]
    if unknown:
        sys.exit(f"unknown part: {unknown[0]} (known: {' '.join(PARTS)})")
    checks = Checks()

    def play(name):
        try:
            PARTS[name](checks.of(name), Path(program), Path(work))
        except Exception as error:
            place = traceback.extract_tb(error.__traceback__)[-1]
            saw = f"{error!r} ({Path(place.filename).name}:{place.lineno})"
            checks.of(name).that("the part runs to its end", False, saw)

    chosen = [it for it in PARTS if it in names or not names]
    for name in chosen:
        if name in ALONE:
            play(name)
    with concurrent.futures.ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(play, [it for it in chosen if it not in ALONE]))
    print(f"{checks.n} checks, {checks.n_failed} failed")
    sys.exit(1 if checks.n_failed else 0)


if __name__ == "__main__":
    main()
