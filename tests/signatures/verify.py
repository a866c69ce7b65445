"""Checks the signatures of callbacks from the local stack with public libraries.

Usage: verify.py PATH_OF_ANSWERBACK. Needs `standardwebhooks`, `svix` and `stripe` (PyPI). Our own tests
check signatures with our own code. This one uses independent code: `standardwebhooks` and `svix` for the
profile `standard`, `stripe` for profiles with a `t=…,v1=…` header in seconds.
"""

import base64
import datetime
import http.server
import json
import queue
import subprocess
import sys
import threading
import time
import urllib.request

import standardwebhooks
import stripe
import svix

SECONDS = 30
# Maximum age of a signature: Stripe's default.
TOLERANCE_SECONDS = 300
# A secret that signs nothing here.
OTHER_SECRET = "whsec_" + base64.b64encode(bytes(32)).decode()
# What has a secret: results of requests, and posted events.
REQUESTS, EVENTS = "/v1", "/v1/events"
EVENT = {"type": "job.completed", "data": {"executionId": "e", "status": "naïve – ✓"}}


class Receiver(http.server.BaseHTTPRequestHandler):
    arrived = queue.Queue()

    def do_HEAD(self):
        self.send_response(200)
        self.end_headers()

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.arrived.put((headers, body))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_):
        pass


class Previous(stripe.WebhookSignature):
    """Stripe's check for the signature with the previous secret."""

    EXPECTED_SCHEME = "v2"


class Account:
    """An account on the local stack, and the server that receives its callbacks."""

    def __init__(self, stack, port):
        self.base, self.key = stack["base_url"], stack["api_key"]
        self.callback_url = f"http://127.0.0.1:{port}/hook"

    def call(self, method, path, body=None):
        request = urllib.request.Request(self.base + path, method=method)
        request.add_header("content-type", "application/json")
        request.add_header("authorization", f"Bearer {self.key}")
        data = None if body is None else json.dumps(body).encode()
        with urllib.request.urlopen(request, data, timeout=SECONDS) as response:
            return json.load(response)

    def secret(self, source):
        return self.call("GET", f"{source}/secret?reveal=true")["secret"]

    def rotate(self, source):
        return self.call("POST", f"{source}/secret/rotate", {"overlap_seconds": 3600})["secret"]

    def post_event(self, profile):
        """Posts an event. Returns the headers and the body of its callback."""
        callback = {"callback_url": self.callback_url, "callback": {"profile": profile}}
        self.call("POST", "/v1/events", {**EVENT, **callback})
        return Receiver.arrived.get(timeout=SECONDS)

    def answer(self, profile):
        """Creates and answers a request. Returns the headers and the body of its callback."""
        question = {
            "title": "Is this signature ours?",
            "recipients": ["a@example.com"],
            "options": [{"value": "yes", "label": "Yes"}],
            "callback_url": self.callback_url,
            "callback": {"profile": profile},
        }
        request = self.call("POST", "/v1/requests", question)
        token = request["recipients"][0]["answer_url"].rsplit("/", 1)[1]
        self.call("POST", f"/v1/answers/{token}", {"option": "yes"})
        headers, body = Receiver.arrived.get(timeout=SECONDS)
        assert request["id"].split("_")[1] in body.decode(), "a callback of another request"
        return headers, body


def refuses(error, check, *arguments):
    try:
        check(*arguments)
    except error:
        return True
    return False


def altered(body):
    changed = bytearray(body)
    changed[len(changed) // 2] ^= 1
    return bytes(changed)


def ten_minutes_ago():
    return datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(minutes=10)


def check_standard(secrets, headers, body, other=OTHER_SECRET):
    """Each of `secrets` verifies with both libraries; `other`, altered and old callbacks do not."""
    for library in standardwebhooks, svix:

        def is_refused(secret, *message):
            webhook = library.Webhook(secret)
            return refuses(standardwebhooks.WebhookVerificationError, webhook.verify, *message)

        assert is_refused(other, body, headers), "a wrong secret passed"
        for secret in secrets:
            webhook = library.Webhook(secret)
            webhook.verify(body, headers)
            assert is_refused(secret, altered(body), headers), "a changed byte passed"

            # Signed by the library itself, so that only the age is wrong.
            then = ten_minutes_ago()
            aged = {
                "webhook-id": headers["webhook-id"],
                "webhook-timestamp": str(int(then.timestamp())),
                "webhook-signature": webhook.sign(headers["webhook-id"], then, body.decode()),
            }
            assert is_refused(secret, body, aged), "an old timestamp passed"
            aged["webhook-signature"] = headers["webhook-signature"]
            assert is_refused(secret, body, aged), "another timestamp passed"


def is_stripes(secret, header, body, scheme=stripe.WebhookSignature):
    """True if Stripe's own check passes."""
    error = stripe.SignatureVerificationError
    return not refuses(error, scheme.verify_header, body, header, secret, TOLERANCE_SECONDS)


def check_timed(secret, header, body, scheme=stripe.WebhookSignature, other=OTHER_SECRET):
    """`secret` verifies with Stripe's library; `other`, altered and old callbacks do not."""
    assert is_stripes(secret, header, body, scheme), header
    assert not is_stripes(other, header, body, scheme), "a wrong secret passed"
    assert not is_stripes(secret, header, altered(body), scheme), "a changed byte passed"

    # Signed by the library itself, so that only the age is wrong.
    then = int(ten_minutes_ago().timestamp())
    aged = scheme.generate_signature_header(body.decode(), secret, then)
    assert not is_stripes(secret, aged, body, scheme), "an old timestamp passed"
    time = header.split(",")[0]
    assert not is_stripes(secret, header.replace(time, f"t={then}"), body, scheme)


def check_one_secret(account):
    of_requests, of_events = account.secret(REQUESTS), account.secret(EVENTS)
    check_standard([of_requests], *account.answer("standard"), other=of_events)
    check_standard([of_events], *account.post_event("standard"), other=of_requests)

    headers, body = account.answer("ping")
    check_timed(of_requests, headers["x-ping-signature"], body, other=of_events)
    headers, body = account.post_event("noukai")
    check_timed(of_events, headers["x-noukai-signature"], body, other=of_requests)


def check_overlap(account):
    of_requests = account.secret(REQUESTS), account.rotate(REQUESTS)
    of_events = account.secret(EVENTS), account.rotate(EVENTS)
    # Workers keep secrets for 5 s.
    time.sleep(6)
    old, new = of_requests
    assert old != new
    check_standard([old, new], *account.answer("standard"))
    headers, body = account.answer("ping")
    for secret in old, new:
        check_timed(secret, headers["x-ping-signature"], body)

    old, new = of_events
    assert old != new
    check_standard([old, new], *account.post_event("standard"))
    headers, body = account.post_event("noukai")
    header = headers["x-noukai-signature"]
    check_timed(new, header, body)
    check_timed(old, header, body, Previous)
    assert not is_stripes(old, header, body), "the previous secret signs as `v1`"
    assert not is_stripes(new, header, body, Previous), "the new secret signs as `v2`"


def main():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    command = [sys.argv[1], "dev", "--json", "--memory", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            account = Account(json.loads(process.stdout.readline()), server.server_port)
            check_one_secret(account)
            check_overlap(account)
        finally:
            process.terminate()
    print("Callbacks verify with standardwebhooks, svix and stripe; altered callbacks do not.")


if __name__ == "__main__":
    main()
