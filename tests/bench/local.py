#!/usr/bin/env python3
"""Measures the local stack: how many events a second it accepts and delivers, and how long a callback takes.

Usage: tests/bench/local.py PATH_OF_ANSWERBACK [--baseline PROGRAM] [--rounds N] [--events N] [--answers N]
                            [--connections N] [--memory] [--json FILE]

Starts the program on a new data folder and posts events with a callback to a receiver in this script. All connections
use loopback. Then it creates requests, answers them at 100 a second, and measures the time from the start of an answer
to the arrival of its callback. Every callback must arrive. CPU is that of the program, not of this script.

With --baseline, another build is measured in the same run, in turns, and ratios to it are printed. Events a second
depend on the machine's load; CPU an event hardly does.
"""

import argparse
import asyncio
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

from machine import machine, options_of, save, show_machine

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import emulated_aws  # noqa: E402

ANSWERS_PER_SECOND = 100
# Events before the measurement: they open connections, and fill caches.
WARM_UP = 200
TIMEOUT_SECONDS = 120
EVENT_TYPE = "deploy.done"
QUESTION = {"title": "Deploy?", "recipients": [{"email": "ada@example.com"}]}
QUESTION |= {"options": [{"value": "yes", "label": "Yes"}], "timeout_seconds": 3_600}


class Receiver(asyncio.Protocol):
    """One connection of the program. Responds with 204, and records the arrival of each body's key."""

    def __init__(self, arrivals):
        self.arrivals, self.data = arrivals, b""

    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.data += data
        while (end := self.data.find(b"\r\n\r\n")) >= 0:
            head = self.data[:end].lower()
            length = int(head.split(b"content-length:")[1].split(b"\r\n")[0]) if b"content-length:" in head else 0
            if len(self.data) < end + 4 + length:
                return
            body, self.data = self.data[end + 4 : end + 4 + length], self.data[end + 4 + length :]
            self.transport.write(b"HTTP/1.1 204 No Content\r\n\r\n")
            # The probe of a callback URL has no body.
            if body:
                self.arrivals.record(body)


class Arrivals:
    """The callbacks that arrived, by the id of their event or request."""

    def __init__(self):
        self.at, self.n_again, self.awaited = {}, 0, None

    def record(self, body):
        key = key_of(json.loads(body))
        self.n_again += key in self.at
        self.at.setdefault(key, time.perf_counter())
        if self.awaited and self.awaited[0] <= len(self.at) and not self.awaited[1].done():
            self.awaited[1].set_result(None)

    async def all(self, n_keys):
        """Waits until `n_keys` callbacks have arrived."""
        self.awaited = n_keys, asyncio.get_running_loop().create_future()
        if len(self.at) < n_keys:
            await asyncio.wait_for(self.awaited[1], TIMEOUT_SECONDS)


def key_of(body):
    """The number of an event, or the id of a request."""
    data = body["data"]
    return data["number"] if body["type"] == EVENT_TYPE else data["request_id"]


class Client:
    """One connection to the API."""

    def __init__(self, stack):
        self.host, self.port = stack["base_url"].split("//")[1].split(":")
        self.key, self.streams = stack["api_key"], None

    async def post(self, path, body, status):
        return await self.call("POST", path, body, status)

    async def call(self, method, path, body, status):
        if self.streams is None:
            self.streams = await asyncio.open_connection(self.host, int(self.port))
        reader, writer = self.streams
        text = b"" if body is None else json.dumps(body).encode()
        head = f"{method} {path} HTTP/1.1\r\nhost: {self.host}:{self.port}\r\nauthorization: Bearer {self.key}\r\n"
        head += f"content-type: application/json\r\ncontent-length: {len(text)}\r\n\r\n"
        writer.write(head.encode() + text)
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        length = int(head.split(b"content-length:")[1].split(b"\r\n")[0])
        answer = await reader.readexactly(length)
        assert int(head.split()[1]) == status, (head, answer)
        return json.loads(answer)


def cpu_seconds(pids):
    """CPU time of all threads of these processes, in user and kernel mode."""
    stats = [pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split() for pid in pids]
    return sum(int(it[11]) + int(it[12]) for it in stats) / os.sysconf("SC_CLK_TCK")


async def each(clients, items, call):
    """Calls for all items, on as many connections as there are clients."""
    left = iter(items)

    async def work(client):
        for item in left:
            await call(client, item)

    await asyncio.gather(*map(work, clients))


async def measure_events(clients, arrivals, url, numbers, pids):
    """Posts events, and waits until all are delivered."""

    async def post(client, number):
        event = {"type": EVENT_TYPE, "data": {"number": number}, "callback_url": url}
        await client.post("/v1/events", event, 202)

    n_before, cpu, start = len(arrivals.at), cpu_seconds(pids), time.perf_counter()
    await each(clients, numbers, post)
    accepted = time.perf_counter() - start
    await arrivals.all(n_before + len(numbers))
    seconds = time.perf_counter() - start
    n_events = len(numbers)
    return {
        "events_per_second": n_events / seconds,
        "accepted_per_second": n_events / accepted,
        "cpu_ms_per_event": (cpu_seconds(pids) - cpu) * 1000 / n_events,
    }


async def measure_answers(stack, clients, arrivals, url, n_answers, pids):
    """Answers requests at a steady rate. Returns each callback's latency in ms."""
    asked, latencies = [], []

    async def ask(client, _):
        asked.append(await client.post("/v1/requests", QUESTION | {"callback_url": url}, 201))

    await each(clients, range(n_answers), ask)
    n_before, idle, sent, tasks = len(arrivals.at), list(clients), {}, []
    cpu, start = cpu_seconds(pids), time.perf_counter()

    async def answer(request):
        client = idle.pop() if idle else Client(stack)
        token = request["recipients"][0]["answer_url"].rsplit("/", 1)[1]
        sent[request["id"]] = time.perf_counter()
        await client.post(f"/v1/answers/{token}", {"option": "yes"}, 200)
        idle.append(client)

    for number, request in enumerate(asked):
        await asyncio.sleep(max(0, start + number / ANSWERS_PER_SECOND - time.perf_counter()))
        tasks.append(asyncio.create_task(answer(request)))
    await asyncio.gather(*tasks)
    await arrivals.all(n_before + n_answers)
    cpu_ms = (cpu_seconds(pids) - cpu) * 1000 / n_answers
    latencies = sorted((arrivals.at[it["id"]] - sent[it["id"]]) * 1000 for it in asked)
    return {"latencies_ms": latencies, "cpu_ms_per_answer": cpu_ms}


async def measure(program, options):
    """One round: starts the program, measures, and stops it."""
    arrivals = Arrivals()
    server = await asyncio.get_running_loop().create_server(lambda: Receiver(arrivals), "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    folder = tempfile.TemporaryDirectory()
    command = [program, "dev", "--json", "--port", "0"]
    command += ["--memory"] if options.memory else ["--data-dir", folder.name]
    with folder, subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        try:
            stack = json.loads(process.stdout.readline())
            emulated_aws.send_no_messages(stack)
            clients = [Client(stack) for _ in range(options.connections)]
            await measure_events(clients, arrivals, url, range(-WARM_UP, 0), [process.pid])
            result = await measure_events(clients, arrivals, url, range(options.events), [process.pid])
            result |= await measure_answers(stack, clients, arrivals, url, options.answers, [process.pid])
            result["n_duplicates"] = arrivals.n_again
        finally:
            process.terminate()
            server.close()
    return result


def summary(rounds):
    """The medians of all rounds, and the percentiles of all latencies."""
    latencies = sorted(it for round in rounds for it in round["latencies_ms"])
    percentile = lambda percent: latencies[min(len(latencies) - 1, len(latencies) * percent // 100)]
    names = ["events_per_second", "accepted_per_second", "cpu_ms_per_event", "cpu_ms_per_answer"]
    medians = {name: statistics.median(round[name] for round in rounds) for name in names}
    return medians | {"p50_ms": percentile(50), "p99_ms": percentile(99)}


def show(results):
    titles = {
        "events_per_second": "events/s, delivered",
        "accepted_per_second": "events/s, accepted",
        "cpu_ms_per_event": "CPU ms an event",
        "cpu_ms_per_answer": "CPU ms an answer",
        "p50_ms": "answer → callback, p50 ms",
        "p99_ms": "answer → callback, p99 ms",
    }
    summaries = {name: summary(rounds) for name, rounds in results.items()}
    has_baseline = "baseline" in summaries
    print(f"{'':28}" + "".join(f"{it:>12}" for it in summaries) + (f"{'ratio':>8}" if has_baseline else ""))
    for key, title in titles.items():
        values = [it[key] for it in summaries.values()]
        ratio = f"{values[1] / values[0]:8.2f}" if has_baseline else ""
        print(f"{title:28}" + "".join(f"{it:12.2f}" for it in values) + ratio)
    return summaries


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("program", help="a release build of answerback")
    parser.add_argument("--baseline", help="another build, for ratios")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--events", type=int, default=5_000, help="events in a round")
    parser.add_argument("--answers", type=int, default=1_000, help="answers in a round")
    parser.add_argument("--connections", type=int, default=32, help="callers at a time")
    parser.add_argument("--memory", action="store_true", help="keep no data on disk")
    parser.add_argument("--json", help="file for all raw results")
    options = parser.parse_args()

    about = machine()
    storage = "in memory" if options.memory else "on disk"
    show_machine(about)
    print(
        f"{options.rounds} rounds of {options.events} events on {options.connections} connections, and "
        f"{options.answers} answers at {ANSWERS_PER_SECOND}/s; data {storage}"
    )
    programs = {"baseline": options.baseline} if options.baseline else {}
    programs["program"] = options.program
    results = {name: [] for name in programs}
    for _ in range(options.rounds):
        for name, program in programs.items():
            results[name].append(asyncio.run(measure(pathlib.Path(program).resolve(), options)))
    summaries = show(results)
    if options.json:
        raw = {"machine": about, "options": options_of(options), "summary": summaries, "rounds": results}
        save(options.json, raw)


if __name__ == "__main__":
    main()
