#!/usr/bin/env python3
"""Counts what operations and whole lifecycles take of AWS, and what a million of them cost.

Usage: tests/bench/units.py [--json FILE]

Runs the test `cost::units`, which meters the functions over emulated AWS: capacity units, calls, invocations, callbacks
and bytes of log lines. They are exact and do not depend on the machine. Dollars come from `prices.toml`, which also
has what a test cannot measure, such as the duration of an invocation. The program fails above the test's limit.
"""

import argparse
import json
import os
import pathlib
import subprocess
import tempfile
import tomllib

from machine import machine, save, show_machine

ROOT = pathlib.Path(__file__).resolve().parents[2]
PRICES = ROOT / "tests/bench/prices.toml"
TEST = ["cargo", "test", "--quiet", "--workspace", "--test", "it", "--", "cost::units"]
MINUTES_PER_MONTH = 60 * 24 * 30
MONTHS = [1_000, 100_000, 10_000_000]
# Calls are rare below this, and find empty caches.
BUSY_MIN = 1_000_000
# Invocations that take this much longer show how much the dollars depend on `prices.toml`.
LONGER_MS = 10

COUNTS = {
    "write_units": "write units",
    "read_units": "read units",
    "dynamodb_calls": "table calls",
    "sqs_calls": "SQS calls",
    "callbacks": "callbacks",
}
PARTS = {
    "http_api": "HTTP API",
    "writes": "writes",
    "reads": "reads",
    "invocations": "requests",
    "duration": "duration",
    "queue": "SQS",
    "logs": "logs",
}


def invocations(row):
    return sum(row["usage"][it] for it in ("http_calls", "deliveries", "sweeps"))


def show(title, rows, baseline):
    """Prints the counts and dollars of rows, with the ratio of their dollars to those of the baseline."""
    names = [*COUNTS.values(), "invocations", *PARTS.values(), "$/million", "ratio"]
    width = max(len(it["name"]) for it in rows)
    print(f"\n{title:{width}}  " + " ".join(names))
    for row in rows:
        cells = [f"{row['usage'][key]:g}" for key in COUNTS] + [str(invocations(row))]
        cells += [f"{row['parts'][key]:.2f}" for key in PARTS]
        cells += [f"{row['dollars_per_million']:.2f}"]
        cells += [f"{row['dollars_per_million'] / baseline['dollars_per_million']:.2f}"]
        print(f"{row['name']:{width}}  " + " ".join(f"{cell:>{len(name)}}" for name, cell in zip(names, cells)))


def idle_month(results, prices):
    """Dollars of a month without calls, without any free tier: the key, sweeps, and polling of the queues."""
    million, assumed = prices["per_million"], prices["assumed"]
    receives = assumed["receives_per_queue_and_minute"] * assumed["queues"] * MINUTES_PER_MONTH
    parts = {name: dollars * MINUTES_PER_MONTH / 1e6 for name, dollars in results["sweep"]["parts"].items()}
    parts["queue"] += receives / 1e6 * million["sqs_calls"]
    return {"key": prices["per_month"]["key"]} | {name: it for name, it in parts.items() if it}


def months(results, prices, idle):
    """Dollars of months with this many lifecycles of two recipients who answer by page."""
    rows, stored = [], prices["assumed"]["stored_kb"] / 1e6
    monthly = prices["per_month"]
    for n_lifecycles in MONTHS:
        name = "2 by page" if n_lifecycles >= BUSY_MIN else "2 by page, empty caches"
        each = next(it for it in results["lifecycles"] if it["name"] == name)["dollars_per_million"]
        storage = n_lifecycles * stored * (monthly["storage_gb"] + monthly["backup_gb"])
        parts = {"lifecycles": each * n_lifecycles / 1e6, "storage": storage, "idle stack": sum(idle.values())}
        rows.append({"lifecycles": n_lifecycles, "parts": parts, "dollars": sum(parts.values())})
    return rows


def longer(row, prices):
    """Dollars for a million when each invocation takes `LONGER_MS` more."""
    gb_seconds = invocations(row) * LONGER_MS / 1000 * prices["assumed"]["memory_mb"] / 1024
    return row["dollars_per_million"] + gb_seconds * prices["per_million"]["gb_seconds"]


def measure():
    with tempfile.TemporaryDirectory() as folder:
        file = pathlib.Path(folder) / "units.json"
        subprocess.run(TEST, cwd=ROOT, env=os.environ | {"UNITS_JSON": str(file)}, check=True, stdout=subprocess.DEVNULL)
        return json.loads(file.read_text())


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", help="file for all results")
    options = parser.parse_args()

    about = machine()
    show_machine(about)
    prices = tomllib.loads(PRICES.read_text())
    results = measure()
    print(f"Prices of {prices['date']} in {prices['region']}, without any free tier.")
    two = next(it for it in results["lifecycles"] if it["name"] == "2 by page")
    show("lifecycle", results["lifecycles"], two)
    show("event", results["events"], two)
    show("operation", results["operations"], two)

    idle, sweeps = idle_month(results, prices), results["sweeps_of_a_month"]
    print(f"\nSweeps of a month, shared by a million lifecycles: ${sweeps:.2f}")
    for by, most in results["dollars_max"]:
        row = next(it for it in results["lifecycles"] if it["name"] == f"2 by {by.lower()}")
        print(
            f"A million lifecycles, 2 recipients who answer by {by.lower()}: ${row['dollars_per_million'] + sweeps:.2f}, "
            f"at most ${most:.2f}; ${longer(row, prices) + sweeps:.2f} if each invocation took {LONGER_MS} ms more"
        )
    print(f"An idle month: ${sum(idle.values()):.2f} (" + ", ".join(f"{it} ${idle[it]:.2f}" for it in idle) + ")")
    for row in (all_months := months(results, prices, idle)):
        parts = ", ".join(f"{name} ${dollars:.2f}" for name, dollars in row["parts"].items())
        print(f"A month of {row['lifecycles']:,}: ${row['dollars']:.2f} ({parts})")
    if options.json:
        results |= {"prices": prices, "idle_month": idle, "months": all_months}
        save(options.json, {"machine": about, **results})


if __name__ == "__main__":
    main()
