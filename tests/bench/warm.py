#!/usr/bin/env python3
"""Measures warm calls: the instructions of a function for one more event, after its first ones.

Usage: tests/bench/warm.py [--node] [--json FILE] PATH_OF_ANSWERBACK BOOTSTRAP [BOOTSTRAP…]

Emulates Lambda as cold.py does, with the logs that are deployed. Counts the instructions of a process that handles N
events, and of one that handles 2N. The difference belongs to N events: the start, the handshake with the table and the
first use of each cache are in both. The program fails above MILLIONS_MAX.

The path of a bootstrap names its function. `deliver` refuses receivers on loopback before it calls them. `loopback`, an
example in `functions/deliver`, calls them over plain HTTP. With it, this also measures the peak memory of a dispatch to
50 webhooks. `hello`, an example in `functions/poll`, is the measure for the others. With --node, the CPU time of
creating a request is compared with that of a bundled function in JavaScript that does as many reads and writes.
"""

import argparse
import collections
import concurrent.futures
import dataclasses
import http.server
import json
import os
import pathlib
import platform
import shutil
import sys
import threading
import uuid
from collections.abc import Callable

from machine import machine, save
from packages import bundle
from runtime import count, load, local_stack, post, run

# Most instructions of one event, in millions: 3 % above those on x86-64. A delivery is one of ten in a batch. Those
# vary with the number of connections to the table.
MILLIONS_MAX = {"create": 1.0, "answer": 1.23, "poll": 0.79, "delivery": 2.05, "called": 2.8, "sweep": 1.53}
MEMORY_MB_MAX = 12
BATCH = 10
N_WEBHOOKS = 50
# Calls whose CPU time is compared with those of a function in JavaScript.
N_TIMED = 500
# Nothing listens there, so creation must not probe it.
EVENT = {"type": "deploy.done", "data": {"version": "v2.4.1"}, "callback": {"probe": "skip"}}
REFUSED_URL = "http://127.0.0.1:1/"


@dataclasses.dataclass
class Case:
    """Something to measure: a function, and a new event that makes it do this."""

    name: str
    function: str
    # Events of the shorter run.
    n_events: int
    make: Callable
    # Units of work in an event.
    size: int = 1


class Receiver(http.server.BaseHTTPRequestHandler):
    """Accepts callbacks."""

    protocol_version = "HTTP/1.1"

    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        self.server.n_calls[self.headers["answerback-event"]] += 1
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_):
        pass


def receive():
    """Starts a server that accepts callbacks."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    server.daemon_threads = True
    server.n_calls = collections.Counter()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def authorized(event, stack):
    event["headers"]["authorization"] = f"Bearer {stack['api_key']}"
    return event


def create(stack):
    event = authorized(load("create_request"), stack)
    event["headers"]["idempotency-key"] = str(uuid.uuid4())
    return event


def ask(stack):
    return post(stack, "/v1/requests", json.loads(load("create_request")["body"]))


def moved(event, route, path, parameters):
    """The event for another route."""
    event["routeKey"] = event["requestContext"]["routeKey"] = route
    event["rawPath"] = event["requestContext"]["http"]["path"] = path
    event["pathParameters"] = parameters
    return event


def token_of(request):
    return request["recipients"][0]["answer_url"].rsplit("/", 1)[1]


def answer(stack):
    token = token_of(ask(stack))
    event = moved(load("create_request"), "POST /v1/answers/{token}", f"/v1/answers/{token}", {"token": token})
    del event["headers"]["authorization"]
    event["body"] = json.dumps({"option": "approve"})
    event["headers"]["content-length"] = str(len(event["body"]))
    return event


def poll(stack):
    request = ask(stack)
    post(stack, f"/v1/answers/{token_of(request)}", {"option": "approve"}, key=False)
    path = f"/v1/requests/{request['id']}/result"
    return moved(authorized(load("get_request"), stack), "GET /v1/requests/{id}/result", path, {"id": request["id"]})


def batch(stack, url):
    """A batch of hints, each at a posted event with one delivery."""
    event = load("hints")
    hint = event["Records"][0]
    ids = [post(stack, "/v1/events", EVENT | {"callback_url": url})["id"] for _ in range(BATCH)]
    event["Records"] = [hint_at(hint, it) for it in ids]
    return event


def hint_at(hint, event_id):
    return hint | {"messageId": event_id, "body": json.dumps({"kind": "event", "id": event_id})}


def check(case, runtime):
    for text in runtime.answers:
        response = json.loads(text)
        if case.function in ("deliver", "loopback"):
            assert not response["batchItemFailures"], response
        elif case.function == "sweep":
            assert not any(response.values()), response
        else:
            assert response["statusCode"] < 300, response


def instructions(case, bootstrap, stack, variables):
    """Instructions of one unit, in millions."""

    def millions(n_events):
        events = [case.make(stack) for _ in range(n_events)]
        runtime, counted = count(bootstrap, events, variables)
        check(case, runtime)
        return counted

    # Both at the same time: other processes do not change a count.
    with concurrent.futures.ThreadPoolExecutor() as pool:
        few, many = pool.map(millions, [case.n_events, 2 * case.n_events])
    return (many - few) / (case.n_events * case.size)


def processor_time(command, stack, variables):
    """CPU time of a call that creates a request, in ms."""

    def cpu_ms(n_events):
        runtime, _, _ = run(command, [create(stack) for _ in range(n_events)], variables)
        return runtime.cpu_ms

    return (cpu_ms(2 * N_TIMED) - cpu_ms(N_TIMED)) / N_TIMED


def fan_out(bootstrap, stack, variables, receiver):
    """Peak memory of a dispatch of one event to many webhooks, in MB."""
    url = f"http://127.0.0.1:{receiver.server_port}"
    for number in range(N_WEBHOOKS):
        webhook = {"url": f"{url}/{number}", "event_types": ["fan.out"], "probe": "skip"}
        post(stack, "/v1/webhooks", webhook)
    event = load("hints")
    event["Records"] = [hint_at(event["Records"][0], post(stack, "/v1/events", {"type": "fan.out", "data": {}})["id"])]
    runtime, memory_kb, _ = run([bootstrap], [event], variables)
    assert not json.loads(runtime.answers[0])["batchItemFailures"]
    assert receiver.n_calls["fan.out"] == N_WEBHOOKS, receiver.n_calls
    return memory_kb / 1024


def measure(stack, bootstraps, variables, node):
    receiver = receive()
    url = f"http://127.0.0.1:{receiver.server_port}/callback"
    # The sweep comes before there is anything due.
    cases = [
        Case("hello", "hello", 20, create),
        Case("sweep", "sweep", 10, lambda _: load("every_minute")),
        Case("create", "intake", 10, create),
        Case("answer", "intake", 10, answer),
        Case("poll", "poll", 10, poll),
        Case("delivery", "deliver", 2, lambda it: batch(it, REFUSED_URL), BATCH),
        Case("called", "loopback", 2, lambda it: batch(it, url), BATCH),
    ]
    results, faults = {}, []
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} processors, load {os.getloadavg()[0]:.2f}")
    print(f"{'call':10} {'M instructions':>15} {'at most':>8} {'to hello':>9}")
    for case in cases:
        bootstrap = next((it for it in bootstraps if case.function in it.as_posix().lower()), None)
        if bootstrap is None:
            continue
        millions = results[case.name] = instructions(case, bootstrap, stack, variables)
        most = MILLIONS_MAX.get(case.name)
        ratio = f"{millions / results['hello']:9.2f}" if "hello" in results else ""
        print(f"{case.name:10} {millions:15.3f} {most or '':>8} {ratio}", flush=True)
        if most and millions > most:
            faults.append(f"{case.name} takes {millions:.3f} million instructions, more than {most}")
    intake = next((it for it in bootstraps if "intake" in it.as_posix().lower()), None)
    if node and intake:
        commands = {"create": [intake], "node": ["node", node]}
        for name, command in commands.items():
            cpu_ms = results[f"{name}_cpu_ms"] = processor_time(command, stack, variables)
            print(f"{name:10} {cpu_ms:.3f} ms of CPU time for one of {N_TIMED} calls")
    loopback = next((it for it in bootstraps if "loopback" in it.as_posix()), None)
    if loopback:
        memory = results["fan_out_mb"] = fan_out(loopback, stack, variables, receiver)
        print(f"dispatch to {N_WEBHOOKS} webhooks: {memory:.1f} MB, at most {MEMORY_MB_MAX}")
        if memory > MEMORY_MB_MAX:
            faults.append(f"a dispatch takes {memory:.1f} MB, more than {MEMORY_MB_MAX}")
    return results, faults


def main():
    if not shutil.which("valgrind"):
        print("Without valgrind, instructions are not counted.")
        return
    parser = argparse.ArgumentParser()
    parser.add_argument("answerback")
    parser.add_argument("bootstraps", nargs="+", type=lambda it: pathlib.Path(it).resolve())
    parser.add_argument("--node", action="store_true")
    parser.add_argument("--json")
    arguments = parser.parse_args()
    node = bundle() if arguments.node else None
    about = machine()
    with local_stack(arguments.answerback) as (stack, variables):
        variables |= {"AWS_LAMBDA_LOG_FORMAT": "JSON", "STACK_NAME": "warm"}
        results, faults = measure(stack, arguments.bootstraps, variables, node)
    if arguments.json:
        save(arguments.json, {"machine": about, "limits": MILLIONS_MAX, "results": results})
    if faults:
        sys.exit("\n".join(faults))


if __name__ == "__main__":
    main()
