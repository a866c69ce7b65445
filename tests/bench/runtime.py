"""Runs a function as Lambda does: with an emulated Runtime API, and the local stack's table behind TLS."""

import contextlib
import http.server
import json
import os
import pathlib
import re
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import emulated_aws  # noqa: E402

# In milliseconds since the epoch: the year 3000.
FAR = 32_503_680_000_000
FOLDER = pathlib.Path(__file__).resolve().parent.parent / "events"
CHUNK = 65_536
RESPONSE_SECONDS_MAX = 120


class Runtime(http.server.ThreadingHTTPServer):
    """One function's Runtime API, for some events, one after the other."""

    daemon_threads = True

    def __init__(self, events, deadline=FAR):
        super().__init__(("127.0.0.1", 0), Handler)
        self.events, self.deadline = events, deadline
        self.n_sent = 0
        # Set when all events are answered.
        self.answered = threading.Event()
        self.process, self.answers = None, []
        # CPU time of all threads at the last response, in milliseconds.
        self.cpu_ms = None
        # Time of the last response, of a clock that only goes forward, in seconds.
        self.answered_at = None

    def handle_error(self, *_):
        # A killed function closes its connection.
        pass

    def measure(self):
        while self.process is None:
            # The function was faster than the program that started it.
            time.sleep(0.001)
        threads = pathlib.Path(f"/proc/{self.process.pid}/task").glob("*/schedstat")
        self.cpu_ms = sum(int(it.read_text().split()[0]) for it in threads) / 1e6


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        if self.server.n_sent == len(self.server.events):
            # There are no more events.
            threading.Event().wait()
        event = self.server.events[self.server.n_sent]
        self.server.n_sent += 1
        self.send_response(200)
        self.send_header("lambda-runtime-aws-request-id", "00000000-0000-4000-8000-000000000000")
        self.send_header("lambda-runtime-deadline-ms", str(self.server.deadline))
        self.send_header("lambda-runtime-invoked-function-arn", "arn:aws:lambda:us-east-1:0:function:f")
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(event)))
        self.end_headers()
        self.wfile.write(event)

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
        self.server.answered_at = time.monotonic()
        self.server.measure()
        self.server.answers.append(body)
        self.send_response(202)
        self.send_header("content-length", "0")
        self.end_headers()
        if len(self.server.answers) == len(self.server.events):
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


def load(name):
    return json.loads((FOLDER / f"{name}.json").read_text())


def run(command, events, variables):
    """Runs a function for some events. Returns its runtime, its peak memory in KB, and what it wrote to stderr."""
    runtime = Runtime([json.dumps(it).encode() for it in events])
    threading.Thread(target=runtime.serve_forever, daemon=True).start()
    env = {"PATH": os.environ["PATH"], **environment(runtime, variables)}
    process = subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    runtime.process = process
    answered = runtime.answered.wait(RESPONSE_SECONDS_MAX)
    status = pathlib.Path(f"/proc/{process.pid}/status").read_text()
    process.terminate()
    errors = process.communicate()[1]
    assert answered, f"{command[-1]} did not respond:\n{errors}"
    memory = next((int(it.split()[1]) for it in status.splitlines() if it.startswith("VmHWM")), 0)
    return runtime, memory, errors


def count(bootstrap, events, variables):
    """Runs a function for some events. Returns its runtime, and its instructions until the last response, in millions."""
    command = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", bootstrap]
    runtime, _, errors = run(command, events, variables)
    return runtime, int(re.search(r"Collected : (\d+)", errors)[1]) / 1e6


def certify(folder):
    """Makes a certificate for 127.0.0.1. Returns the paths of certificate and key."""
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    command += ["-days", "2", "-subj", "/CN=emulated AWS", "-addext", "subjectAltName=IP:127.0.0.1"]
    # A certificate that signs itself is an authority's by default, and clients refuse those of servers.
    command += ["-addext", "basicConstraints=critical,CA:FALSE"]
    command += ["-keyout", key, "-out", certificate]
    subprocess.run(command, check=True, stderr=subprocess.DEVNULL)
    return certificate, key


def certify_as_aws(folder):
    """Makes a chain of certificates for 127.0.0.1 like those of AWS's endpoints: RSA with 2,048 bits, a root, one between,
    and the server's. Returns the paths of the root, of the chain that the server sends, and of its key."""

    def make(name, extensions, issuer=None):
        certificate, key, request = (folder / f"{name}.{it}" for it in ("pem", "key", "csr"))
        command = ["openssl", "req", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={name}", "-keyout", key]
        subprocess.run([*command, "-out", request], check=True, stderr=subprocess.DEVNULL)
        texts = folder / f"{name}.cnf"
        texts.write_text(extensions)
        by = ["-CA", folder / f"{issuer}.pem", "-CAkey", folder / f"{issuer}.key", "-CAcreateserial"] if issuer else ["-signkey", key]
        command = ["openssl", "x509", "-req", "-in", request, "-days", "2", "-extfile", texts, *by, "-out", certificate]
        subprocess.run(command, check=True, stderr=subprocess.DEVNULL)
        return certificate, key

    authority = "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign\n"
    root, _ = make("root", authority)
    between, _ = make("between", authority, "root")
    server, key = make("server", "subjectAltName=IP:127.0.0.1\n", "between")
    chain = folder / "chain.pem"
    chain.write_text(server.read_text() + between.read_text())
    return root, chain, key


def pipe(source, target):
    try:
        while data := source.recv(CHUNK):
            target.sendall(data)
    except OSError:
        pass
    finally:
        target.close()


def serve_tls(certificate, key, port, handshakes=None):
    """Forwards TLS connections to a port, and adds 1 to `handshakes` for each. Returns its own port."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    # Take the cipher suite that the client prefers, as nginx does by default.
    context.options &= ~ssl.OP_CIPHER_SERVER_PREFERENCE
    context.load_cert_chain(certificate, key)
    listener = socket.create_server(("127.0.0.1", 0))

    def forward(connection):
        try:
            encrypted = context.wrap_socket(connection, server_side=True)
        except OSError:
            return
        if handshakes is not None:
            handshakes.append(1)
        plain = socket.create_connection(("127.0.0.1", port))
        threading.Thread(target=pipe, args=(encrypted, plain), daemon=True).start()
        pipe(plain, encrypted)

    def accept():
        while True:
            threading.Thread(target=forward, args=(listener.accept()[0],), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    return listener.getsockname()[1]


def post(stack, path, body, key=True):
    """Calls the local stack's API. Returns the body of the response."""
    headers = {"content-type": "application/json"}
    if key:
        headers["authorization"] = f"Bearer {stack['api_key']}"
    url = stack["base_url"].rstrip("/") + path
    request = urllib.request.Request(url, json.dumps(body).encode(), headers, method="POST")
    with urllib.request.urlopen(request) as response:
        return json.load(response)


@contextlib.contextmanager
def local_stack(answerback, works=False):
    """A local stack whose own workers are off, unless it `works`. Yields what `dev --json` prints, and the environment of a
    function."""
    with tempfile.TemporaryDirectory() as temporary:
        data = pathlib.Path(temporary)
        command = [answerback, "dev", "--json", "--data-dir", data, "--port", "0", "--sweep-interval", "24h"]
        command += [] if works else ["--no-queue"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
            try:
                stack = json.loads(process.stdout.readline())
                emulated_aws.send_no_messages(stack)
                queue = emulated_aws.call(stack, "AmazonSQS.CreateQueue", QueueName="unread")["QueueUrl"]
                lines = (data / "functions.env").read_text().splitlines()
                variables = dict(line.split("=", 1) for line in lines)
                certificate, key = certify(data)
                port = int(variables["AWS_ENDPOINT_URL"].rsplit(":", 1)[1].strip("/"))
                port = serve_tls(certificate, key, port)
                variables |= {
                    "AWS_ENDPOINT_URL": f"https://127.0.0.1:{port}",
                    "AWS_CA_BUNDLE": str(certificate),
                    "NODE_EXTRA_CA_CERTS": str(certificate),
                    "HINT_QUEUE_URL": queue,
                    "SLOW_HINT_QUEUE_URL": queue,
                    "PUBLIC_BASE_URL": stack["base_url"].rstrip("/"),
                }
                yield stack, variables
            finally:
                process.terminate()
