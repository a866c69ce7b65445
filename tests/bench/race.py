#!/usr/bin/env python3
"""Races the local stack against BullMQ, undici and Redis: the same events, accepted and delivered by both.

Usage: tests/bench/race.py PATH_OF_ANSWERBACK [--rounds N] [--events N] [--paced N] [--connections N] [--json FILE]

Both accept an event by HTTP, store it on disk, sign it, post it to a receiver in this script, and store the result. They
run in turns in the same run, on loopback. CPU is that of all processes of a system, Redis included. `race/server.js` is
the baseline. It runs twice: with Redis syncing every write before its response, as the local stack does, and with a
sync each second, Redis's default, which loses up to a second of accepted events in a power cut.

Needs Node.js 20 with npm, and redis-server; it says so and ends where they are missing. Packages come from npm and are
kept in target/race.
"""

import argparse
import asyncio
import contextlib
import json
import pathlib
import socket
import statistics
import subprocess
import tempfile
import time

from local import EVENT_TYPE, WARM_UP, Arrivals, Client, Receiver, cpu_seconds, each, measure_events
from machine import machine, options_of, save, show_machine
from packages import install, missing

EVENTS_PER_SECOND = 100
SYNCS = {"bullmq": "always", "bullmq_everysec": "everysec"}
TITLES = {
    "events_per_second": "events/s, delivered",
    "accepted_per_second": "events/s, accepted",
    "cpu_ms_per_event": "CPU ms an event",
    "paced_cpu_ms_per_event": f"CPU ms an event at {EVENTS_PER_SECOND}/s",
    "p50_ms": f"event → callback at {EVENTS_PER_SECOND}/s, p50 ms",
    "p99_ms": f"event → callback at {EVENTS_PER_SECOND}/s, p99 ms",
}


def start(stack, command):
    return stack.enter_context(stop_at_end(subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)))


@contextlib.contextmanager
def stop_at_end(process):
    try:
        yield process
    finally:
        process.terminate()
        process.communicate()


def wait_for(port):
    for _ in range(200):
        with contextlib.suppress(OSError):
            return socket.create_connection(("127.0.0.1", port)).close()
        time.sleep(0.05)
    raise TimeoutError("redis-server does not listen")


def start_system(stack, name, program, folder):
    """Starts a system. Returns its address and key, and its processes."""
    if name == "answerback":
        process = start(stack, [program, "dev", "--json", "--port", "0", "--data-dir", folder])
        return json.loads(process.stdout.readline()), [process.pid]
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = ["redis-server", "--bind", "127.0.0.1", "--port", str(port), "--dir", folder, "--save", ""]
    redis = start(stack, command + ["--appendonly", "yes", "--appendfsync", SYNCS[name]])
    wait_for(port)
    node = start(stack, ["node", install("race") / "server.js", str(port)])
    return json.loads(node.stdout.readline()), [redis.pid, node.pid]


async def measure_paced(clients, arrivals, url, numbers, pids):
    """Posts events at a steady rate. Measures the time from the start of a post to the arrival of its callback."""
    idle, sent, tasks = list(clients), {}, []
    cpu, start = cpu_seconds(pids), time.perf_counter()

    async def post(number):
        client = idle.pop()
        sent[number] = time.perf_counter()
        await client.post("/v1/events", {"type": EVENT_TYPE, "data": {"number": number}, "callback_url": url}, 202)
        idle.append(client)

    n_before = len(arrivals.at)
    for place, number in enumerate(numbers):
        await asyncio.sleep(max(0, start + place / EVENTS_PER_SECOND - time.perf_counter()))
        tasks.append(asyncio.create_task(post(number)))
    await asyncio.gather(*tasks)
    await arrivals.all(n_before + len(numbers))
    cpu_ms = (cpu_seconds(pids) - cpu) * 1000 / len(numbers)
    latencies = sorted((arrivals.at[it] - sent[it]) * 1000 for it in numbers)
    return {"latencies_ms": latencies, "paced_cpu_ms_per_event": cpu_ms}


async def measure(name, options):
    """One round of one system."""
    arrivals = Arrivals()
    server = await asyncio.get_running_loop().create_server(lambda: Receiver(arrivals), "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        address, pids = start_system(stack, name, pathlib.Path(options.program).resolve(), folder)
        clients = [Client(address) for _ in range(options.connections)]
        await measure_events(clients, arrivals, url, range(-WARM_UP, 0), pids)
        result = await measure_events(clients, arrivals, url, range(options.events), pids)
        paced = range(options.events, options.events + options.paced)
        result |= await measure_paced(clients, arrivals, url, paced, pids)
        result["n_duplicates"] = arrivals.n_again
    server.close()
    return result


def summary(rounds):
    """The medians of all rounds, and the percentiles of all latencies."""
    latencies = sorted(it for round in rounds for it in round["latencies_ms"])
    percentile = lambda percent: latencies[min(len(latencies) - 1, len(latencies) * percent // 100)]
    medians = {name: statistics.median(round[name] for round in rounds) for name in list(TITLES)[:4]}
    return medians | {"p50_ms": percentile(50), "p99_ms": percentile(99)}


def show(results):
    summaries = {name: summary(rounds) for name, rounds in results.items()}
    ours = summaries["answerback"]
    print(f"{'':34}" + "".join(f"{it:>18}" for it in summaries) + "".join(f"{'to ' + it:>20}" for it in SYNCS))
    for key, title in TITLES.items():
        ratios = "".join(f"{ours[key] / summaries[it][key]:20.2f}" for it in SYNCS)
        print(f"{title:34}" + "".join(f"{it[key]:18.2f}" for it in summaries.values()) + ratios)
    return summaries


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("program", help="a release build of answerback")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--events", type=int, default=5_000, help="events in a round, as fast as possible")
    parser.add_argument("--paced", type=int, default=1_000, help=f"events in a round, at {EVENTS_PER_SECOND} a second")
    parser.add_argument("--connections", type=int, default=32, help="callers at a time")
    parser.add_argument("--json", help="file for all raw results")
    options = parser.parse_args()
    if programs := missing("node", "npm", "redis-server"):
        print(f"There is no race: this machine has no {' and no '.join(programs)}.")
        return

    about = machine()
    about["redis"] = subprocess.check_output(["redis-server", "--version"], text=True).split()[2].removeprefix("v=")
    about["node"] = subprocess.check_output(["node", "--version"], text=True).strip()
    show_machine(about)
    print(
        f"{options.rounds} rounds of {options.events} events on {options.connections} connections, and "
        f"{options.paced} events at {EVENTS_PER_SECOND}/s, medians; data on disk"
    )
    install("race")
    results = {name: [] for name in [*SYNCS, "answerback"]}
    for _ in range(options.rounds):
        for name, rounds in results.items():
            rounds.append(asyncio.run(measure(name, options)))
    summaries = show(results)
    if options.json:
        raw = {"machine": about, "options": options_of(options), "summary": summaries, "rounds": results}
        save(options.json, raw)


if __name__ == "__main__":
    main()
