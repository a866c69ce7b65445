"""Checks the responses of the four functions under `sam local`. Started by tests/sam-local.

The functions use DynamoDB and SQS of the local stack. The stack itself stays idle: its workers read another
queue, its only sweep runs before there is data, and its API gets no calls. The checks invoke each function
with an event of tests/events. Then they create, answer and poll a request over HTTP, and pass its hints from
the queue to `deliver`. Finally they measure the start time of each function, without a container.
"""

import argparse
import concurrent.futures
import contextlib
import http.client
import json
import os
import pathlib
import re
import signal
import socket
import statistics
import subprocess
import tempfile
import time
import urllib.error
import urllib.request

import emulated_aws

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUILD = ROOT / ".aws-sam" / "build"
SECONDS = 60
RUNS = 20
# The emulator may start a function before it listens. The functions wait for it. If they do not wait long
# enough, this text is in the output, and the call is retried.
START_RACE = "ConnectionRefused"
TRIES = 3
# Production calls public addresses only. This name resolves to one at creation, and to this machine later.
RECEIVER = "receiver.example.com"
PUBLIC, HOME = "8.8.8.8", "127.0.0.1"


def say(text):
    print(text, flush=True)


def check(what, found, wanted):
    assert found == wanted, f"{what}: got {found!r}, expected {wanted!r}"
    say(f"   ✓ {what}: {found!r}")


def call(method, url, body=None, headers=()):
    """Calls a URL. Returns the status and the body, parsed if it is JSON."""
    data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"content-type": "application/json", **dict(headers)}, method=method)
    try:
        with urllib.request.urlopen(request, timeout=SECONDS) as answer:
            status, kind, text = answer.status, answer.headers.get_content_type(), answer.read().decode()
    except urllib.error.HTTPError as answer:
        status, kind, text = answer.code, answer.headers.get_content_type(), answer.read().decode()
    return status, json.loads(text) if "json" in kind else text


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def wait_for_port(port):
    until = time.monotonic() + SECONDS
    while time.monotonic() < until:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.002)
    raise AssertionError(f"no listener on port {port}")


class Stack:
    """The local stack, used as an AWS for functions that run elsewhere."""

    def __init__(self, folder, host):
        self.log, self.folder = folder / "stack.log", folder / "data"
        program = ROOT / "target" / "debug" / "answerback"
        command = [program, "dev", "--json", "--data-dir", self.folder, "--port", "0", "--aws-host", host]
        command += ["--sweep-interval", "24h"]
        environment = {**os.environ, "RUST_LOG": "info,dynoxide=error", "NO_COLOR": "1"}
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=self.log.open("w"), env=environment)

    def connect(self):
        """Waits until the stack is ready, then creates the queues and the environment of the functions."""
        line = self.process.stdout.readline()
        assert line, f"the local stack does not start:\n{self.log.read_text()}"
        ready = json.loads(line)
        self.key, self.ready = ready["api_key"], ready
        lines = (self.folder / "functions.env").read_text().splitlines()
        # Empty unless the stack sets it: the value in the template is not valid here.
        self.environment = {"SECRETS_KEY_ID": "", **dict(line.split("=", 1) for line in lines)}
        emulated_aws.send_no_messages(ready)
        # Separate queues that the stack's workers do not read.
        for name in "HINT_QUEUE_URL", "SLOW_HINT_QUEUE_URL":
            queue = self.sqs("CreateQueue", QueueName=name.replace("_", "-"))
            self.environment[name] = queue["QueueUrl"]

    def of_deliver(self):
        """The variables of `deliver` alone: the others use the address that they are called at."""
        return {"PUBLIC_BASE_URL": "https://answers.example.com"}

    def sqs(self, operation, **body):
        return emulated_aws.call(self.ready, f"AmazonSQS.{operation}", **body)

    def hints(self):
        """The messages in the queue, as an event for `deliver`."""
        queue = self.environment["HINT_QUEUE_URL"]
        messages = self.sqs("ReceiveMessage", QueueUrl=queue, MaxNumberOfMessages=10).get("Messages", [])
        event = json.loads((ROOT / "tests" / "events" / "hints.json").read_text())
        form = event["Records"][0]
        names = {"messageId": "MessageId", "receiptHandle": "ReceiptHandle", "body": "Body", "md5OfBody": "MD5OfBody"}
        event["Records"] = [{**form, **{it: message[names[it]] for it in names}} for message in messages]
        return event

    def stop(self):
        self.process.terminate()
        self.process.wait(SECONDS)

    def did(self):
        """Log lines of the functions that run inside the stack."""
        lines = self.log.read_text().splitlines()
        # `send_no_messages` is a call to the stack.
        return [it for it in lines if re.search(r" (intake|poll|sweep|deliver)(::\w+)*: ", it) and "a notifier" not in it]


class Sam:
    """`sam local`, connected to a stack."""

    def __init__(self, folder, stack, architecture, image):
        self.folder = folder
        variables = folder / "variables.json"
        variables.write_text(json.dumps({"Parameters": stack.environment, "DeliverFunction": stack.of_deliver()}))
        self.options = ["--skip-pull-image", "--invoke-image", image, "--env-vars", variables]
        self.options += ["--parameter-overrides", f"Architecture={architecture}"]
        # Without these, SAM calls the real AWS STS and waits for it.
        self.environment = {**os.environ, "AWS_ENDPOINT_URL_STS": "http://127.0.0.1:9", "AWS_MAX_ATTEMPTS": "1"}
        for name in "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION":
            self.environment[name] = stack.environment[name]

    def invoke(self, function, event, *options):
        """The response of a function. The exit status is useless: it is 0 even if the function crashed."""
        file = self.folder / "event.json"
        file.write_text(json.dumps(event))
        command = ["sam", "local", "invoke", *self.options, *options, "--event", file, function]
        for _ in range(TRIES):
            done = subprocess.run(command, cwd=ROOT, env=self.environment, capture_output=True, text=True, check=False)
            if done.stdout.strip() or START_RACE not in done.stderr:
                break
        assert done.stdout.strip(), f"{function} returned nothing:\n{done.stderr}"
        answer = json.loads(done.stdout)
        shown = f"{answer['statusCode']} {answer['body']}" if "statusCode" in answer else json.dumps(answer)
        say(f"   {function}: {shown:.140}")
        return answer

    @contextlib.contextmanager
    def api(self):
        """Runs the HTTP API and yields its URL."""
        port = free_port()
        command = ["sam", "local", "start-api", *self.options, "--host", "127.0.0.1", "--port", str(port)]
        command += ["--warm-containers", "LAZY", "--add-host", f"{RECEIVER}:{PUBLIC}"]
        with (self.folder / "api.log").open("w") as log:
            process = subprocess.Popen(command, cwd=ROOT, env=self.environment, stdout=log, stderr=log)
        try:
            wait_for_port(port)
            yield f"http://127.0.0.1:{port}"
        except BaseException:
            say((self.folder / "api.log").read_text())
            raise
        finally:
            process.terminate()
            process.wait(SECONDS)


class Events:
    """The events of tests/events, with the API key of an account."""

    def __init__(self, key):
        self.key = key
        self.n_asked = 0

    def read(self, name):
        event = json.loads((ROOT / "tests" / "events" / name).read_text())
        if "authorization" in event.get("headers", {}):
            event["headers"]["authorization"] = f"Bearer {self.key}"
        return event

    def create_request(self, **changed):
        """An event that creates a new request each time."""
        self.n_asked += 1
        event = self.read("create_request.json")
        event["headers"]["idempotency-key"] += f"-{self.n_asked}"
        event["body"] = json.dumps({**json.loads(event["body"]), **changed})
        return event

    def get_request(self, request):
        return json.loads(json.dumps(self.read("get_request.json")).replace("req_01jdqv7m3f8x9k2n4p6r8t0w1y", request))


def body_of(answer):
    return json.loads(answer["body"])


def invoke_each(sam, events):
    say("\n== sam local invoke: the events of tests/events")
    stranger = json.loads((ROOT / "tests" / "events" / "create_request.json").read_text())
    answer = sam.invoke("IntakeFunction", stranger)
    check("without a key", (answer["statusCode"], body_of(answer)["code"]), (401, "unauthorized"))

    answer = sam.invoke("IntakeFunction", events.create_request())
    asked = body_of(answer)
    check("create a request", (answer["statusCode"], asked["status"]), (201, "pending"))

    answer = sam.invoke("PollFunction", events.read("health.json"))
    check("health", (answer["statusCode"], body_of(answer)), (200, {"status": "ok"}))
    answer = sam.invoke("PollFunction", events.get_request(asked["id"]))
    found = body_of(answer)
    check("get the request", (answer["statusCode"], found["id"], found["title"]), (200, asked["id"], "Deploy v2.4.1?"))

    answer = sam.invoke("DeliverFunction", events.read("hints.json"))
    failed = [it["itemIdentifier"] for it in answer["batchItemFailures"]]
    check("only the malformed hint is returned to the queue", failed, ["00000000-0000-4000-8000-000000000003"])

    asked = body_of(sam.invoke("IntakeFunction", events.create_request(timeout_seconds=5)))
    # A time-out is settled two seconds after the deadline.
    time.sleep(8)
    swept = sam.invoke("SweepFunction", events.read("every_minute.json"))
    check("the sweep settles one time-out", {it: n for it, n in swept.items() if n}, {"n_timed_out": 1})
    answer = sam.invoke("PollFunction", events.get_request(asked["id"]))
    found = body_of(answer)
    check("the request has timed out", (found["status"], found["outcome"]), ("finished", "timed_out"))


def ask_answer_and_poll(sam, stack, base_url):
    say("\n== sam local start-api: create, answer and poll over HTTP")
    key = {"authorization": f"Bearer {stack.key}"}
    question = {
        "title": "Is this SAM?",
        "recipients": ["ada@example.com"],
        "options": [{"value": "yes", "label": "Yes"}, {"value": "no", "label": "No"}],
        "callback_url": f"https://{RECEIVER}/hook",
        "callback": {"probe": "skip"},
    }
    status, asked = call("POST", f"{base_url}/v1/requests", question, key)
    check("created", (status, asked.get("status")), (201, "pending"))
    request, page = f"{base_url}/v1/requests/{asked['id']}", asked["recipients"][0]["answer_url"]
    status, shown = call("GET", page)
    check("the page shows the question", (status, question["title"] in shown), (200, True))
    nonce = re.search('name="nonce" value="([^"]*)"', shown)[1]
    with concurrent.futures.ThreadPoolExecutor() as pool:
        polled = pool.submit(call, "GET", f"{request}?wait=25", None, key)
        # A form that is sent within two seconds needs the second step.
        time.sleep(3)
        assert not polled.done(), f"the poll returned early: {polled.result()}"
        status, _ = call("POST", page, f"option=yes&nonce={nonce}".encode(), {"content-type": "application/x-www-form-urlencoded"})
        check("the page after the answer", status, 200)
        status, found = polled.result()
    check("the waiting poll returns the result", (status, found["status"], found["decision"]), (200, "finished", "yes"))
    status, result = call("GET", f"{request}/result", None, key)
    check("the result", (status, result["result"]["decision"]), (200, "yes"))

    hints = stack.hints()
    bodies = [json.loads(it["body"]) for it in hints["Records"]]
    check("the queue has a hint", {"kind": "request", "id": asked["id"], "hops": 0} in bodies, True)
    answer = sam.invoke("DeliverFunction", hints, "--add-host", f"{RECEIVER}:{HOME}")
    check("deliver has followed it", answer, {"batchItemFailures": []})
    _, listed = call("GET", f"{base_url}/v1/deliveries", None, key)
    [delivery] = listed["data"]
    found = {it: delivery[it] for it in ("request_id", "status", "attempts", "failures")}
    check("created a delivery", found, {"request_id": asked["id"], "status": "pending", "attempts": 1, "failures": 1})
    _, listed = call("GET", f"{base_url}/v1/attempts?delivery_id={delivery['id']}", None, key)
    [attempt] = listed["data"]
    check("signed the callback", attempt["request"]["headers"]["webhook-signature"].startswith("v1,"), True)
    check("did not post it to this machine", attempt["error"]["kind"], "blocked_address")


@contextlib.contextmanager
def emulated(emulator, folder, environment):
    """A function under the runtime interface emulator: its port, and the file with its start time."""
    port, started = free_port(), folder / "started"
    command = [emulator, "--log-level", "error", "--runtime-interface-emulator-address", f"127.0.0.1:{port}"]
    command += ["--runtime-api-address", f"127.0.0.1:{free_port()}", folder / "start"]
    log = subprocess.DEVNULL
    process = subprocess.Popen(
        command, cwd=folder, env={**environment, "STARTED": str(started)}, stdout=log, stderr=log, start_new_session=True
    )
    try:
        wait_for_port(port)
        yield port, started
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(SECONDS)


def time_start(function, event, emulator, folder, environment):
    """Milliseconds from the start of a `bootstrap` to its first response, and the response."""
    environment = {**environment, "BOOTSTRAP": str(BUILD / function / "bootstrap")}
    with emulated(emulator, folder, environment) as (port, started):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=SECONDS)
        connection.request("POST", "/2015-03-31/functions/function/invocations", json.dumps(event))
        answer = json.loads(connection.getresponse().read())
        answered = time.time()
        return (answered - float(started.read_text())) * 1000, answer


def time_starts(emulator, folder, stack, events):
    say(f"\n== From the start of `bootstrap` to its first response, under the runtime interface emulator, {RUNS} runs")
    start = folder / "start"
    start.write_text('#!/bin/bash\nprintf %s "$EPOCHREALTIME" >"$STARTED"\nexec "$BOOTSTRAP"\n')
    start.chmod(0o755)
    functions = {
        "IntakeFunction": (events.create_request, lambda it: it["statusCode"] == 201),
        # Valid key, unknown request: two reads.
        "PollFunction": (lambda: events.read("get_request.json"), lambda it: it["statusCode"] == 404),
        "SweepFunction": (lambda: events.read("every_minute.json"), lambda it: it["n_errors"] == 0),
        "DeliverFunction": (lambda: events.read("hints.json"), lambda it: len(it["batchItemFailures"]) == 1),
    }
    environment = {"PATH": os.environ["PATH"], **stack.environment, **stack.of_deliver()}
    say(f"{'function':18} {'median, ms':>10} {'min':>8} {'max':>8}")
    for function, (event, is_right) in functions.items():
        times = []
        for _ in range(RUNS):
            milliseconds, answer = time_start(function, event(), emulator, folder, environment)
            assert is_right(answer), f"{function} returned {answer}"
            times.append(milliseconds)
        say(f"{function:18} {statistics.median(times):10.1f} {min(times):8.1f} {max(times):8.1f}")


def main():
    parser = argparse.ArgumentParser()
    for name in "architecture", "image", "host", "emulator":
        parser.add_argument(f"--{name}", required=True)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        stack = Stack(folder, options.host)
        try:
            stack.connect()
            events, sam = Events(stack.key), Sam(folder, stack, options.architecture, options.image)
            invoke_each(sam, events)
            with sam.api() as base_url:
                ask_answer_and_poll(sam, stack, base_url)
            time_starts(options.emulator, folder, stack, events)
        finally:
            stack.stop()
        did = stack.did()
        assert len(did) == 1 and "swept" in did[0], f"the local stack did work of the functions: {did}"
    say("\nAll four functions respond correctly under sam local.")


if __name__ == "__main__":
    main()
