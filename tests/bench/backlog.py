"""Measures how the sweep drains a large backlog.

Usage: backlog.py PATH_OF_ANSWERBACK PATH_OF_SWEEP [ITEMS]

Creates requests and events on a local stack whose own sweep and hints are off, and waits until all of them
are due. Then it invokes the program of the sweep as Lambda does, with 55 s each time. An invocation must
drain 10,000 items with less than 128 MB, so ITEMS (20,000) take two. The backlog metric must then be 0.
"""

import concurrent.futures
import contextlib
import http.client
import json
import math
import pathlib
import subprocess
import sys
import tempfile
import threading
import time

from runtime import FOLDER, Runtime, environment

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import emulated_aws  # noqa: E402

ITEMS_PER_SWEEP = 10_000
MEMORY_KB_MAX = 128 * 1024
SWEEP_SECONDS = 55
AT_ONCE = 16
# The timer of an event is a minute after it, because a hint usually leads to its dispatch at once.
TIMEOUT_SECONDS = 60
# The sweep settles a request two seconds after its deadline. One more, for rounding.
GUARD_SECONDS = 3

QUESTION = {"title": "Deploy?", "options": [{"value": "yes", "label": "Yes"}], "timeout_seconds": TIMEOUT_SECONDS}
EVENT = {"type": "deploy.done", "data": {}, "callback_url": "http://127.0.0.1:1/"}
# Nothing listens there, so creation must not probe it.
EVENT["callback"] = {"probe": "skip"}


def make(stack, numbers):
    """Creates items: half are requests that time out, half are events to deliver."""
    host = stack["base_url"].split("//")[1]
    connection = http.client.HTTPConnection(host)
    headers = {"authorization": f"Bearer {stack['api_key']}", "content-type": "application/json"}
    for number in numbers:
        path, body, status = (
            ("/v1/requests", QUESTION, 201) if number % 2 else ("/v1/events", EVENT, 202)
        )
        connection.request("POST", path, json.dumps(body), headers)
        response = connection.getresponse()
        text = response.read()
        assert response.status == status, (response.status, text)


def make_queue(stack):
    """Creates a queue without a reader, because only the sweep is measured."""
    return emulated_aws.call(stack, "AmazonSQS.CreateQueue", QueueName="unread")["QueueUrl"]


@contextlib.contextmanager
def stack_for_sweeps(program, name):
    """Runs a local stack whose own sweep and hints are off. Yields its process, its description, and the variables of
    `sweep`, in a stack named `name`."""
    with tempfile.TemporaryDirectory() as folder:
        command = [program, "dev", "--json", "--port", "0", "--data-dir", folder, "--no-queue", "--sweep-interval", "24h"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
            try:
                stack = json.loads(process.stdout.readline())
                emulated_aws.send_no_messages(stack)
                lines = (pathlib.Path(folder) / "functions.env").read_text().splitlines()
                queue = make_queue(stack)
                yield process, stack, dict(line.split("=", 1) for line in lines) | {
                    "HINT_QUEUE_URL": queue,
                    "SLOW_HINT_QUEUE_URL": queue,
                    "AWS_LAMBDA_LOG_FORMAT": "JSON",
                    "STACK_NAME": name,
                }
            finally:
                process.terminate()


def sweep(bootstrap, variables):
    """Runs one sweep. Returns its response, its metrics, and its peak memory in KB."""
    event = (FOLDER / "every_minute.json").read_bytes()
    runtime = Runtime([event], int((time.time() + SWEEP_SECONDS) * 1000))
    threading.Thread(target=runtime.serve_forever, daemon=True).start()
    with subprocess.Popen([bootstrap], env=environment(runtime, variables), stdout=subprocess.PIPE) as process:
        runtime.process = process
        lines = []
        reader = threading.Thread(target=lambda: lines.extend(process.stdout))
        reader.start()
        answered = runtime.answered.wait(SWEEP_SECONDS)
        status = pathlib.Path(f"/proc/{process.pid}/status").read_text()
        process.kill()
        reader.join()
    assert answered, "the sweep ran longer than Lambda allows"
    memory = next(int(it.split()[1]) for it in status.splitlines() if it.startswith("VmHWM"))
    counted = next(it for it in map(json.loads, reversed(lines)) if "SweepBacklog" in it)
    return json.loads(runtime.answers[-1]), counted, memory


def main():
    answerback, bootstrap, *more = sys.argv[1:]
    n_items = int(more[0]) if more else 20_000
    with stack_for_sweeps(answerback, "backlog") as (_, stack, variables):
        with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
            parts = [range(it, n_items, AT_ONCE) for it in range(AT_ONCE)]
            list(pool.map(lambda numbers: make(stack, numbers), parts))
        time.sleep(TIMEOUT_SECONDS + GUARD_SECONDS)

        n_done, backlog = 0, None
        for number in range(1, math.ceil(n_items / ITEMS_PER_SWEEP) + 1):
            swept, counted, memory = sweep(bootstrap, variables)
            backlog = counted["SweepBacklog"]
            n_done += swept["n_timed_out"] + swept["n_hinted"]
            print(
                f"sweep {number}: {swept['n_timed_out']} timed out, {swept['n_hinted']} handed on, backlog "
                f"{backlog}, oldest {counted['OldestDueAge']} s, in {counted['SweepDuration'] / 1000:.1f} s "
                f"with {memory / 1024:.1f} MB"
            )
            assert memory <= MEMORY_KB_MAX, "the sweep uses too much memory"
        assert (n_done, backlog) == (n_items, 0), f"{n_done} of {n_items} done, {backlog} left"


if __name__ == "__main__":
    main()
