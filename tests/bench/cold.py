#!/usr/bin/env python3
"""Measures cold starts: the instructions and the CPU time of a function from exec to its first response.

Usage: tests/bench/cold.py PATH_OF_ANSWERBACK BOOTSTRAP [BOOTSTRAP…] [--node] [--json FILE]

Each BOOTSTRAP is a release build of a function.

Emulates Lambda's Runtime API. The table is the local stack's, behind TLS, so that a start pays for certificates
and a handshake as it does in AWS. Instructions are counted by valgrind's callgrind and hardly vary; they are
compared with MILLIONS_MAX, and the program fails above it. The path of a bootstrap names its function. `hello`, an
example in `functions/poll`, is the least function that answers an HTTP call, and the measure for the others. With
--node, a bundled function in JavaScript that does as many reads and writes as `intake` is measured too, by its CPU time.
"""

import argparse
import json
import os
import pathlib
import platform
import shutil
import statistics
import sys
import uuid

from machine import machine, save
from packages import bundle
from runtime import count, load, local_stack, post, run

# Most instructions, in millions: 3 % above those on x86-64.
MILLIONS_MAX = {"intake": 7.0, "poll": 5.95, "deliver": 7.35, "sweep": 5.6}
RUNS = 20
COUNTED_RUNS = 3
# Nothing listens there, and production rules refuse it: the delivery fails at once.
EVENT = {"type": "deploy.done", "data": {}, "callback_url": "http://127.0.0.1:1/", "callback": {"probe": "skip"}}


def event_of(function, stack):
    """A new event that makes the function do its usual work."""
    if function == "sweep":
        return load("every_minute")
    if function == "deliver":
        event = load("hints")
        hint = event["Records"][0]
        hint["body"] = json.dumps({"kind": "event", "id": post(stack, "/v1/events", EVENT)["id"]})
        event["Records"] = [hint]
        return event
    if function == "poll":
        request = json.loads(load("create_request")["body"])
        found = load("get_request")
        text = json.dumps(found).replace(found["pathParameters"]["id"], post(stack, "/v1/requests", request)["id"])
        event = json.loads(text)
    else:
        event = load("create_request")
        event["headers"]["idempotency-key"] = str(uuid.uuid4())
    event["headers"]["authorization"] = f"Bearer {stack['api_key']}"
    return event


def check_answer(function, runtime):
    answer = json.loads(runtime.answers[-1])
    if function in ("intake", "poll", "hello", "node"):
        assert answer["statusCode"] < 300, answer
    elif function == "deliver":
        assert not answer["batchItemFailures"], answer


def measure(stack, bootstraps, variables):
    has_valgrind = shutil.which("valgrind")
    if not has_valgrind:
        print("Without valgrind, instructions are not counted.")
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} processors, {RUNS} runs, medians")
    print(f"{'function':10} {'M instructions':>15} {'at most':>8} {'CPU ms':>8} {'to hello':>9} {'MB':>6}")
    results, faults, baseline = {}, [], None
    # The sweep comes before there is anything due.
    for function in ("hello", "node", "sweep", "intake", "poll", "deliver"):
        bootstrap = next((it for it in bootstraps if function in it.as_posix().lower()), None)
        if bootstrap is None:
            continue
        command = ["node", bootstrap] if function == "node" else [bootstrap]
        cpu_ms = []
        for _ in range(RUNS):
            runtime, _, _ = run(command, [event_of(function, stack)], variables)
            check_answer(function, runtime)
            cpu_ms.append(runtime.cpu_ms)
        cpu_ms = statistics.median(cpu_ms)
        if function == "hello":
            baseline = cpu_ms
        # Node.js compiles as it runs, which callgrind cannot follow.
        n_counts = COUNTED_RUNS if has_valgrind and function != "node" else 0
        counts = [count(bootstrap, [event_of(function, stack)], variables)[1] for _ in range(n_counts)]
        # The least: on a busy machine a call takes too long and is repeated, with one more handshake.
        millions = min(counts) if counts else None
        most = MILLIONS_MAX.get(function)
        columns = f"{millions:15.3f}" if counts else f"{'':>15}"
        ratio = f"{cpu_ms / baseline:9.2f}" if baseline else f"{'':>9}"
        size = bootstrap.stat().st_size / 1e6
        print(f"{function:10} {columns} {most or '':>8} {cpu_ms:8.2f} {ratio} {size:6.2f}", flush=True)
        results[function] = {"million_instructions": millions, "cpu_ms": cpu_ms, "mb": size}
        if counts and most and millions > most:
            faults.append(f"{function} takes {millions:.3f} million instructions, more than {most}")
    return results, faults


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("answerback")
    parser.add_argument("bootstraps", nargs="+", type=lambda it: pathlib.Path(it).resolve())
    parser.add_argument("--node", action="store_true", help="also measure the baseline in JavaScript")
    parser.add_argument("--json", help="file for the results")
    options = parser.parse_args()
    if options.node:
        options.bootstraps.append(bundle())
    about = machine()
    with local_stack(options.answerback) as (stack, variables):
        results, faults = measure(stack, options.bootstraps, variables)
    if options.json:
        save(options.json, {"machine": about, "limits": MILLIONS_MAX, "functions": results})
    if faults:
        sys.exit("\n".join(faults))


if __name__ == "__main__":
    main()
