"""Emulates Lambda's Runtime API for one function and one event."""

import http.server
import pathlib
import threading

# In milliseconds since the epoch: the year 3000.
FAR = 32_503_680_000_000
FOLDER = pathlib.Path(__file__).resolve().parent.parent / "events"


class Runtime(http.server.ThreadingHTTPServer):
    """One function's Runtime API, for one event."""

    daemon_threads = True

    def __init__(self, event, deadline=FAR):
        super().__init__(("127.0.0.1", 0), Handler)
        self.event, self.deadline = event, deadline
        self.begun, self.answered = threading.Event(), threading.Event()
        self.process, self.answer = None, None
        # CPU time of all threads at the first response, in milliseconds.
        self.cpu_ms = None

    def handle_error(self, *_):
        # A killed function closes its connection.
        pass

    def measure(self):
        threads = pathlib.Path(f"/proc/{self.process.pid}/task").glob("*/schedstat")
        self.cpu_ms = sum(int(it.read_text().split()[0]) for it in threads) / 1e6


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        if self.server.begun.is_set():
            # There is no second event.
            self.server.answered.wait()
            threading.Event().wait()
        self.server.begun.set()
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
        self.server.measure()
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
