"""Runs the scenes. See `run`."""

import concurrent.futures
import sys
import time
import traceback
from pathlib import Path

from scenes import crowd, faults, kinds, newcomer, scanner, secrets, slack
from stack import Stack

# Scenes mostly wait.
THREADS = 16


def say(line):
    # In one piece, because others speak at the same time.
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def play(name, scene):
    """Prints how it went. Returns true if it went well."""
    began = time.monotonic()
    try:
        detail = scene()
    except Exception as error:
        place = traceback.extract_tb(error.__traceback__)[-1]
        say(f"FAILED  {name}: {error!r} ({Path(place.filename).name}:{place.lineno})")
        return False
    say(f"ok {time.monotonic() - began:5.1f} s  {name}{f' ({detail})' if isinstance(detail, str) else ''}")
    return True


def main():
    program, work, *words = sys.argv[1:]
    stacks = [Stack(Path(program), Path(work) / name) for name in ["friendly", "hostile"]]
    friendly, hostile = stacks
    try:
        everything = [
            *faults.scenes(hostile),
            *scanner.scenes(friendly),
            *newcomer.scenes(friendly),
            *kinds.scenes(friendly),
            *slack.scenes(friendly),
        ]
        if words:
            everything += [*crowd.scenes(friendly), *slack.slow_scenes(friendly)]
        chosen = [it for it in everything if not words or any(word in it[0] for word in words)]
        with concurrent.futures.ThreadPoolExecutor(THREADS) as pool:
            results = list(pool.map(lambda it: play(*it), chosen))
        used = [it for it in stacks if it.requests]
        results += [play(f"no secrets of the {it.folder.name} stack", lambda it=it: secrets.check(it)) for it in used]
    finally:
        for stack in stacks:
            stack.stop()
    failed = results.count(False)
    say(f"{len(results) - failed} scenes passed, {failed} failed.")
    sys.exit(1 if failed or not results else 0)


if __name__ == "__main__":
    main()
