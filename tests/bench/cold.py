#!/usr/bin/env python3
"""Measures cold starts: the instructions and the CPU time of a function from exec to its first response.

Usage: tests/bench/cold.py PATH_OF_ANSWERBACK BOOTSTRAP [BOOTSTRAP…]   (each a release build of a function)

Emulates Lambda's Runtime API. The table is the local stack's, behind TLS, so that a start pays for certificates
and a handshake as it does in AWS. Instructions are counted by valgrind's callgrind and hardly vary; they are
compared with MILLIONS_MAX, and the program fails above it. The path of a bootstrap names its function. `hello`, an
example in `functions/poll`, is the least function that answers an HTTP call, and the measure for the others.
"""

import json
import os
import pathlib
import platform
import re
import shutil
import socket
import ssl
import statistics
import subprocess
import sys
import tempfile
import threading
import urllib.request
import uuid

from runtime import FOLDER, Runtime, environment

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import emulated_aws  # noqa: E402

# Most instructions, in millions. Measured on x86-64: intake 7.72, poll 6.41, deliver 9.62, sweep 6.44.
MILLIONS_MAX = {"intake": 8.2, "poll": 7.0, "deliver": 9.9, "sweep": 7.0}
RUNS = 20
COUNTED_RUNS = 3
CHUNK = 65_536
# Nothing listens there, and production rules refuse it: the delivery fails at once.
EVENT = {"type": "deploy.done", "data": {}, "callback_url": "http://127.0.0.1:1/", "callback": {"probe": "skip"}}


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


def pipe(source, target):
    try:
        while data := source.recv(CHUNK):
            target.sendall(data)
    except OSError:
        pass
    finally:
        target.close()


def serve_tls(certificate, key, port):
    """Forwards TLS connections to a port. Returns its own port."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    listener = socket.create_server(("127.0.0.1", 0))

    def forward(connection):
        try:
            encrypted = context.wrap_socket(connection, server_side=True)
        except OSError:
            return
        plain = socket.create_connection(("127.0.0.1", port))
        threading.Thread(target=pipe, args=(encrypted, plain), daemon=True).start()
        pipe(plain, encrypted)

    def accept():
        while True:
            threading.Thread(target=forward, args=(listener.accept()[0],), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    return listener.getsockname()[1]


def post(stack, path, body):
    headers = {"authorization": f"Bearer {stack['api_key']}", "content-type": "application/json"}
    url = stack["base_url"].rstrip("/") + path
    request = urllib.request.Request(url, json.dumps(body).encode(), headers, method="POST")
    with urllib.request.urlopen(request) as response:
        return json.load(response)


def load(name):
    return json.loads((FOLDER / f"{name}.json").read_text())


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


def start(command, event, variables):
    """Runs a function for one event. Returns its runtime, and what it wrote to stderr."""
    runtime = Runtime(json.dumps(event).encode())
    threading.Thread(target=runtime.serve_forever, daemon=True).start()
    env = {"PATH": os.environ["PATH"], **environment(runtime, variables)}
    process = subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    runtime.process = process
    answered = runtime.answered.wait(120)
    process.terminate()
    errors = process.communicate()[1]
    assert answered, f"{command[-1]} did not respond:\n{errors}"
    return runtime, errors


def count(bootstrap, event, variables):
    """Instructions until the first response, in millions."""
    command = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", bootstrap]
    _, errors = start(command, event, variables)
    return int(re.search(r"Collected : (\d+)", errors)[1]) / 1e6


def check_answer(function, runtime):
    answer = json.loads(runtime.answer)
    if function in ("intake", "poll", "hello"):
        assert answer["statusCode"] < 300, answer
    elif function == "deliver":
        assert not answer["batchItemFailures"], answer


def measure(stack, bootstraps, variables):
    has_valgrind = shutil.which("valgrind")
    if not has_valgrind:
        print("Without valgrind, instructions are not counted.")
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} processors, {RUNS} runs, medians")
    print(f"{'function':10} {'M instructions':>15} {'at most':>8} {'CPU ms':>8} {'to hello':>9} {'MB':>6}")
    faults, baseline = [], None
    # The sweep comes before there is anything due.
    for function in ("hello", "sweep", "intake", "poll", "deliver"):
        bootstrap = next((it for it in bootstraps if function in it.as_posix().lower()), None)
        if bootstrap is None:
            continue
        cpu_ms = []
        for _ in range(RUNS):
            runtime, _ = start([bootstrap], event_of(function, stack), variables)
            check_answer(function, runtime)
            cpu_ms.append(runtime.cpu_ms)
        cpu_ms = statistics.median(cpu_ms)
        if function == "hello":
            baseline = cpu_ms
        n_counts = COUNTED_RUNS if has_valgrind else 0
        counts = [count(bootstrap, event_of(function, stack), variables) for _ in range(n_counts)]
        millions = statistics.median(counts) if counts else None
        most = MILLIONS_MAX.get(function)
        columns = f"{millions:15.3f}" if counts else f"{'':>15}"
        ratio = f"{cpu_ms / baseline:9.2f}" if baseline else f"{'':>9}"
        size = bootstrap.stat().st_size / 1e6
        print(f"{function:10} {columns} {most or '':>8} {cpu_ms:8.2f} {ratio} {size:6.2f}", flush=True)
        if counts and most and millions > most:
            faults.append(f"{function} takes {millions:.3f} million instructions, more than {most}")
    return faults


def main():
    answerback, *bootstraps = sys.argv[1:]
    temporary = tempfile.TemporaryDirectory()
    data = pathlib.Path(temporary.name)
    command = [answerback, "dev", "--json", "--data-dir", data, "--port", "0", "--no-queue", "--sweep-interval", "24h"]
    with temporary, subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        try:
            stack = json.loads(process.stdout.readline())
            queue = emulated_aws.call(stack, "AmazonSQS.CreateQueue", QueueName="unread")["QueueUrl"]
            lines = (data / "functions.env").read_text().splitlines()
            variables = dict(line.split("=", 1) for line in lines)
            certificate, key = certify(data)
            port = serve_tls(certificate, key, int(variables["AWS_ENDPOINT_URL"].rsplit(":", 1)[1].strip("/")))
            variables |= {
                "AWS_ENDPOINT_URL": f"https://127.0.0.1:{port}",
                "AWS_CA_BUNDLE": str(certificate),
                "HINT_QUEUE_URL": queue,
                "SLOW_HINT_QUEUE_URL": queue,
            }
            faults = measure(stack, [pathlib.Path(it).resolve() for it in bootstraps], variables)
        finally:
            process.terminate()
    if faults:
        sys.exit("\n".join(faults))


if __name__ == "__main__":
    main()
