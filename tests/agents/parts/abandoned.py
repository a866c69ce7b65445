"""Calls whose clients hang up.

As on Lambda, the local stack does not notice that. So a call goes on to the end of its hold, and no longer.
"""

import concurrent.futures
import os
import select
import socket
import time
from collections import Counter
from pathlib import Path
from urllib.parse import urlsplit

from checks import until
from stack import Rpc, Stack

CALLS = 100
# Of one key, so many are held at a time.
CALLS_OF_KEY = 25
KEYS = CALLS // CALLS_OF_KEY
# Calls of a key that ask the same.
TWINS = 5
DISTINCT = KEYS * (CALLS_OF_KEY - TWINS + 1)
HANG_UP_SECONDS = 0.5
HOLD_SECONDS, SHORT_HOLD_SECONDS = 20, 8
# Time after the hold, to spare for a slow machine.
OVER_SECONDS = 4
# Times that calls wait, of which none is over when the last begin.
ROUNDS = 3
# A call that is held takes about 45 kB.
GROWTH_BYTES_MAX = ROUNDS * CALLS * 20_000
# Time for what takes milliseconds on a machine that does nothing else.
GONE_SECONDS = 10
OBSERVED_SECONDS = 3
QUICK_SECONDS = 2


def run(checks, program, work):
    stack = Stack(program, work / "abandoned")
    process = Process(stack)
    try:
        asked(checks, stack, process)
        waiting(checks, stack, process)
        checks.equal("the stack is healthy", stack.call("GET", "/v1/health")["status"], "ok")
    finally:
        stack.stop()
    log = (work / "abandoned" / "stderr.log").read_text()
    bad = [it for it in log.splitlines() if " ERROR " in it or "panicked" in it]
    checks.equal("the log has no error", bad[:3], [])


def asked(checks, stack, process):
    """Calls that ask."""
    keys = [stack.agent, *(stack.agent_key() for _ in range(KEYS - 1))]

    def question(number):
        text = f"Question {max(number, TWINS - 1)}?"
        return "ask_human", {"question": text, "options": ["yes", "no"], "to": ["silent@example.com"]}

    began = time.monotonic()
    connections = send_all(stack, keys, question)
    time.sleep(HANG_UP_SECONDS)
    # On a slow machine, the server has not read all of them yet.
    until(lambda: len(stack.requests()) >= DISTINCT, GONE_SECONDS)
    checks.equal(f"{CALLS} calls are held", held_of(connections), CALLS)
    hang_up(connections)
    checks.that("their connections are closed when the clients hang up", process.is_left(), process.connections())
    counts = Counter(it["status"] for it in stack.requests())
    checks.equal("each question is one pending request, and equal ones are one", counts, {"pending": DISTINCT})
    listed, _ = Rpc.call(stack, "tools/call", {"name": "list_requests", "arguments": {}})
    its = listed["result"]["structuredContent"]["requests"][0]["request_id"]
    answer, seconds = Rpc.call(stack, "tools/call", {"name": "check_request", "arguments": {"request_id": its}})
    got = answer["result"]["structuredContent"]["status"]
    checks.equal("the agent finds what it asked", got, "pending")
    checks.that(f"a further call is quick ({seconds:.2f} s)", seconds < QUICK_SECONDS, seconds)
    over(checks, process, began + HOLD_SECONDS, "the calls that asked")


def waiting(checks, stack, process):
    """Calls that wait for the same requests. They store nothing, so memory must not grow once as many calls were held."""
    ids = [it["id"] for it in stack.requests()]
    before = wait_once(checks, stack, process, ids)
    after = wait_once(checks, stack, process, ids)
    saw = f"{before / 1e6:.1f} MB before, {after / 1e6:.1f} MB after"
    checks.that(f"memory does not grow with them ({saw})", after - before < GROWTH_BYTES_MAX, saw)
    checks.equal("they ask nothing", len(stack.requests()), DISTINCT)


def wait_once(checks, stack, process, ids):
    """Returns the memory after the calls."""
    n_held = 0
    for _ in range(ROUNDS):
        # New ones, of which no call has been held.
        keys = [stack.new_key({"scopes": ["requests:read", "requests:write"]}) for _ in range(KEYS)]
        connections = send_all(
            stack, keys, lambda number: ("check_request", {"request_id": ids[number], "wait_seconds": SHORT_HOLD_SECONDS})
        )
        time.sleep(HANG_UP_SECONDS)
        n_held += held_of(connections)
        hang_up(connections)
    checks.equal(f"{ROUNDS} times {CALLS} calls wait", n_held, ROUNDS * CALLS)
    checks.that("their connections are closed, too", process.is_left(), process.connections())
    over(checks, process, time.monotonic() + SHORT_HOLD_SECONDS, "the calls that waited")
    return process.memory()


def over(checks, process, at, calls):
    """Checks that calls use the processor, until their hold is over at this time."""
    held = process.busy()
    time.sleep(max(0, at + OVER_SECONDS - time.monotonic()))
    # Mails may still be on their way.
    after = []
    is_over = until(lambda: after.append(process.busy()) or after[-1] < held / 3, GONE_SECONDS)
    saw = f"{held:.2f} at first, {after[-1]:.2f} in the end"
    checks.that(f"no work of {calls} is left (processors in use: {saw})", is_over, saw)


def send_all(stack, keys, call):
    """Sends all calls at a time, the same ones with each key."""

    def send(place):
        key, number = keys[place // CALLS_OF_KEY], place % CALLS_OF_KEY
        name, arguments = call(number)
        headers, body = Rpc.message("tools/call", {"name": name, "arguments": arguments})
        server = urlsplit(stack.base)
        headers |= {"Host": server.netloc, "Authorization": f"Bearer {key}", "Content-Length": len(body)}
        head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        connection = socket.create_connection((server.hostname, server.port))
        connection.sendall(f"POST /mcp HTTP/1.1\r\n{head}\r\n".encode() + body)
        return connection

    with concurrent.futures.ThreadPoolExecutor(CALLS) as pool:
        return list(pool.map(send, range(CALLS)))


def held_of(connections):
    """The number of calls without any response."""
    return len(connections) - len(select.select(connections, [], [], 0)[0])


def hang_up(connections):
    for connection in connections:
        connection.close()


class Process:
    """What the kernel knows of a stack."""

    def __init__(self, stack):
        self.folder = Path("/proc") / str(stack.process.pid)
        self.port = f":{urlsplit(stack.base).port:04X}"

    def busy(self):
        """The processors that it uses for a while, such as 0.5."""
        began = self.ticks()
        time.sleep(OBSERVED_SECONDS)
        return (self.ticks() - began) / os.sysconf("SC_CLK_TCK") / OBSERVED_SECONDS

    def ticks(self):
        fields = (self.folder / "stat").read_text().rsplit(")", 1)[1].split()
        return int(fields[11]) + int(fields[12])

    def memory(self):
        """Its resident memory, in bytes."""
        pages = int((self.folder / "statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")

    def connections(self):
        """Its connections with clients: established (1), or left by the client (8)."""
        rows = [it.split() for it in (self.folder / "net" / "tcp").read_text().splitlines()[1:]]
        return sum(it[1].endswith(self.port) and it[3] in {"01", "08"} for it in rows)

    def is_left(self):
        """Waits for the end of all connections."""
        return until(lambda: self.connections() == 0, GONE_SECONDS)
