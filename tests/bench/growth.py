#!/usr/bin/env python3
"""Measures whether calls and sweeps depend on how much is stored.

Usage: tests/bench/growth.py PATH_OF_ANSWERBACK PATH_OF_SWEEP [--sizes N,N…] [--due N] [--calls N] [--json FILE]

Fills a local stack on disk with pending requests, up to each size in turn. At each size it measures creates, polls,
pages of lists, and sweeps while nothing is due. CPU is that of the local stack, database included; other programs
disturb it less than the time. The last column is the ratio of the largest size to the smallest in the same run.

Then it posts events whose hints are lost, waits until all of them are due, and sweeps until none is left. An invocation
hands on what it can in 50 s. The ratio is that of the first sweep, which leaves the most, to the last one, which leaves none.
"""

import argparse
import asyncio
import pathlib
import time

from backlog import EVENT, GUARD_SECONDS, TIMEOUT_SECONDS as DUE_AFTER_SECONDS, stack_for_sweeps, sweep
from local import Client, each
from machine import machine, options_of, save, show_machine

QUESTION = {"title": "Deploy?", "recipients": ["ada@example.com"], "options": [{"value": "yes", "label": "Yes"}]}
IDLE_SWEEPS = 20
# Longer than a run.
TIMEOUT_SECONDS = 86_400
OPERATIONS = {
    "create": ("POST", "/v1/requests", 201),
    "poll": ("GET", "/v1/requests/{id}", 200),
    "list": ("GET", "/v1/requests?limit=20", 200),
    "deliveries of a request": ("GET", "/v1/deliveries?request_id={id}", 200),
}


def cpu_seconds(pid):
    """CPU time of all threads of a process, to the nanosecond: an idle sweep takes less than a tick."""
    return sum(int(it.read_text().split()[0]) for it in pathlib.Path(f"/proc/{pid}/task").glob("*/schedstat")) / 1e9


async def create(client, ids):
    ids.append((await client.post("/v1/requests", QUESTION | {"timeout_seconds": TIMEOUT_SECONDS}, 201))["id"])


async def measure_operation(clients, pid, name, ids, n_calls):
    """Calls of one operation, spread over all stored requests. Returns CPU and wall time of a call, in ms."""
    method, path, status = OPERATIONS[name]
    step = max(1, len(ids) // n_calls)
    chosen = [ids[it * step % len(ids)] for it in range(n_calls)]

    async def call(client, id):
        if method == "POST":
            await create(client, ids)
        else:
            await client.call(method, path.replace("{id}", id), None, status)

    await each(clients, chosen[: len(clients)], call)
    cpu, start = cpu_seconds(pid), time.perf_counter()
    await each(clients, chosen, call)
    seconds = time.perf_counter() - start
    return {"cpu_ms": (cpu_seconds(pid) - cpu) * 1000 / n_calls, "ms": seconds * 1000 * len(clients) / n_calls}


def measure_sweeps(pid, sweep_once):
    """Sweeps that find nothing. Returns CPU and wall time of one, in ms."""
    sweep_once()
    cpu, start = cpu_seconds(pid), time.perf_counter()
    for _ in range(IDLE_SWEEPS):
        assert sweep_once()[0]["n_hinted"] == 0
    seconds = time.perf_counter() - start
    return {"cpu_ms": (cpu_seconds(pid) - cpu) * 1000 / IDLE_SWEEPS, "ms": seconds * 1000 / IDLE_SWEEPS}


async def drain(clients, pid, sweep_once, n_due):
    """Posts events, lets them become due, and sweeps until none is left."""
    await each(clients, range(n_due), lambda client, _: client.post("/v1/events", EVENT, 202))
    time.sleep(DUE_AFTER_SECONDS + GUARD_SECONDS)
    sweeps, n_done = [], 0
    while n_done < n_due:
        cpu = cpu_seconds(pid)
        swept, counted, memory_kb = sweep_once()
        n_done += swept["n_hinted"]
        sweeps.append({
            "n_hinted": swept["n_hinted"],
            "n_left": counted["SweepBacklog"],
            "seconds": counted["SweepDuration"] / 1000,
            "cpu_ms_per_item": (cpu_seconds(pid) - cpu) * 1000 / swept["n_hinted"],
            "memory_mb": memory_kb / 1024,
        })
    return sweeps


async def measure(options, sizes):
    program, bootstrap = (pathlib.Path(it).resolve() for it in (options.program, options.sweep))
    with stack_for_sweeps(program, "growth") as (process, stack, variables):
        pid = process.pid
        sweep_once = lambda: sweep(bootstrap, variables)
        clients = [Client(stack) for _ in range(options.connections)]
        ids, rounds = [], []
        for size in sizes:
            await each(clients, range(size - len(ids)), lambda client, _: create(client, ids))
            found = {name: await measure_operation(clients, pid, name, ids, options.calls) for name in OPERATIONS}
            found["sweep, nothing due"] = measure_sweeps(pid, sweep_once)
            rounds.append({"stored": size, "operations": found})
            print(f"{size:>8} stored", flush=True)
        return rounds, await drain(clients, pid, sweep_once, options.due)


def show(rounds, sweeps):
    for unit, title in {"cpu_ms": "CPU ms a call", "ms": "ms a call"}.items():
        print(f"{title:20}" + "".join(f"{it['stored']:>10}" for it in rounds) + f"{'ratio':>8}")
        for name in rounds[0]["operations"]:
            values = [it["operations"][name][unit] for it in rounds]
            print(f"{name:20}" + "".join(f"{it:10.2f}" for it in values) + f"{values[-1] / values[0]:8.2f}")
    for it in sweeps:
        print(
            f"sweep: {it['n_hinted']} handed on, {it['n_left']} left, {it['seconds']:.1f} s, "
            f"{it['cpu_ms_per_item']:.2f} CPU ms an item, {it['memory_mb']:.0f} MB"
        )
    first, last = (it["cpu_ms_per_item"] for it in (sweeps[0], sweeps[-1]))
    print(f"CPU an item, first sweep to last: {first / last:.2f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("program", help="a release build of answerback")
    parser.add_argument("sweep", help="a build of the function sweep")
    parser.add_argument("--sizes", default="100,1000,10000,100000", help="stored requests")
    parser.add_argument("--due", type=int, default=100_000, help="events that become due")
    parser.add_argument("--calls", type=int, default=1_000, help="calls of each operation at each size")
    parser.add_argument("--connections", type=int, default=16, help="callers at a time")
    parser.add_argument("--json", help="file for all raw results")
    options = parser.parse_args()

    about = machine()
    show_machine(about)
    rounds, sweeps = asyncio.run(measure(options, [int(it) for it in options.sizes.split(",")]))
    show(rounds, sweeps)
    if options.json:
        save(options.json, {"machine": about, "options": options_of(options), "rounds": rounds, "sweeps": sweeps})


if __name__ == "__main__":
    main()
