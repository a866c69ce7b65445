"""Checks, each of which prints a line."""

import sys
import threading
import time


class Checks:
    """The checks of a run."""

    def __init__(self):
        self.n, self.n_failed, self.lock = 0, 0, threading.Lock()

    def of(self, part):
        return Part(self, part)


class Part:
    """The checks of a part."""

    def __init__(self, all_checks, name):
        self.all, self.name = all_checks, name

    def say(self, line):
        # In one piece, because others speak at the same time.
        sys.stdout.write(f"{line}\n")
        sys.stdout.flush()

    def that(self, name, is_so, saw=""):
        """Counts one. `saw` is printed where it fails."""
        with self.all.lock:
            self.all.n += 1
            self.all.n_failed += not is_so
            line = f"{self.name}: {name}"
            self.say(f"ok      {line}" if is_so else f"FAILED  {line}: {saw!r:.1000}")
        return is_so

    def equal(self, name, got, wanted):
        return self.that(name, got == wanted, {"got": got, "wanted": wanted})


def until(probe, seconds, interval=0.1):
    """The first result of `probe` that is true, or its last."""
    end = time.monotonic() + seconds
    while True:
        result = probe()
        if result or time.monotonic() > end:
            return result
        time.sleep(interval)
