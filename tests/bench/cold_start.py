"""Measures the CPU time of a function from its start to its first response.

Usage: cold_start.py PATH_OF_ANSWERBACK BOOTSTRAP [BOOTSTRAP…]   (each a release build of a function)

Emulates Lambda's Runtime API, starts each program 20 times with the same event, and prints the median CPU
time until the program asks for its first event, and until its first response. The table is the local
stack's, so connections to it are not encrypted. CPU time is reproducible; wall time is not.
"""

import http.server
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import threading

RUNS = 20
# In milliseconds since the epoch: the year 3000.
FAR = 32_503_680_000_000
EVENTS = {
    "intake": "create_request.json",
    "poll": "get_request.json",
    "sweep": "every_minute.json",
    "deliver": "hints.json",
}
FOLDER = pathlib.Path(__file__).resolve().parent.parent / "events"


class Runtime(http.server.ThreadingHTTPServer):
    """One function's Runtime API, for one event."""

    daemon_threads = True

    def __init__(self, event, deadline=FAR):
        super().__init__(("127.0.0.1", 0), Handler)
        self.deadline = deadline
        self.event, self.marks, self.answered = event, {}, threading.Event()
        self.process, self.answer = None, None

    def handle_error(self, *_):
        # A killed function closes its connection.
        pass

    def mark(self, name):
        # CPU time of all threads, in nanoseconds.
        threads = pathlib.Path(f"/proc/{self.process.pid}/task").glob("*/schedstat")
        self.marks[name] = sum(int(it.read_text().split()[0]) for it in threads) / 1e6


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        if "init" in self.server.marks:
            self.server.answered.wait()
            threading.Event().wait()
        self.server.mark("init")
        self.send_response(200)
        self.send_header("lambda-runtime-aws-request-id", "00000000-0000-4000-8000-000000000000")
        self.send_header("lambda-runtime-deadline-ms", str(self.server.deadline))
        self.send_header("lambda-runtime-invoked-function-arn", "arn:aws:lambda:us-east-1:0:function:f")
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(self.server.event)))
        self.end_headers()
        self.wfile.write(self.server.event)

    def do_POST(self):
        encoding = self.headers.get("transfer-encoding", "")
        if encoding == "chunked":
            body = b""
            while size := int(self.rfile.readline(), 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
        else:
            body = self.rfile.read(int(self.headers["content-length"]))
        self.server.mark("first answer")
        self.server.answer = body
        self.send_response(202)
        self.send_header("content-length", "0")
        self.end_headers()
        self.server.answered.set()

    def log_message(self, *_):
        pass


def environment(runtime, variables):
    return {
        "AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{runtime.server_port}",
        "AWS_LAMBDA_FUNCTION_NAME": "f",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "256",
        "AWS_LAMBDA_FUNCTION_VERSION": "1",
        **variables,
    }


def run(bootstrap, event, variables):
    runtime = Runtime(event)
    threading.Thread(target=runtime.serve_forever, daemon=True).start()
    log = open(os.devnull, "wb")
    with subprocess.Popen([bootstrap], env=environment(runtime, variables), stdout=log, stderr=log) as process:
        runtime.process = process
        answered = runtime.answered.wait(30)
        process.kill()
    assert answered, f"{bootstrap} did not respond"
    return runtime.marks, runtime.answer


def event_of(name, key):
    event = json.loads((FOLDER / EVENTS[name]).read_text())
    if "headers" in event:
        event["headers"]["authorization"] = f"Bearer {key}"
    return json.dumps(event).encode()


def main():
    answerback, *bootstraps = sys.argv[1:]
    folder = tempfile.TemporaryDirectory()
    command = [answerback, "dev", "--json", "--data-dir", folder.name, "--port", "0", "--sweep-interval", "3600s"]
    with folder, subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as stack_process:
        try:
            stack = json.loads(stack_process.stdout.readline())
            lines = (pathlib.Path(folder.name) / "functions.env").read_text().splitlines()
            variables = dict(line.split("=", 1) for line in lines)
            print(f"{'function':10} {'init, CPU ms':>14} {'first response, CPU ms':>22} {'binary, MB':>12}   {RUNS} runs")
            for bootstrap in bootstraps:
                path = pathlib.Path(bootstrap)
                name = next(it for it in EVENTS if it in path.as_posix().lower())
                event = event_of(name, stack["api_key"])
                marks = []
                for _ in range(RUNS):
                    mark, answer = run(bootstrap, event, variables)
                    marks.append(mark)
                medians = {it: statistics.median(mark[it] for mark in marks) for it in marks[0]}
                size = path.stat().st_size / 1e6
                print(f"{name:10} {medians['init']:14.2f} {medians['first answer']:22.2f} {size:12.2f}  {answer[:60]!r}")
        finally:
            stack_process.terminate()


if __name__ == "__main__":
    main()
