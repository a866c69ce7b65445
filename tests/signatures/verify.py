"""Has a question answered on the local stack, and checks the callback with the public library.

Usage: verify.py PATH_OF_ANSWERBACK. Needs `standardwebhooks` (PyPI). Our own tests check our
signatures with our own code; this one asks somebody else's.
"""

import base64
import datetime
import http.server
import json
import queue
import subprocess
import sys
import threading
import urllib.request

from standardwebhooks import Webhook, WebhookVerificationError

SECONDS = 30
arrived = queue.Queue()


class Receiver(http.server.BaseHTTPRequestHandler):
    def do_HEAD(self):
        self.send_response(200)
        self.end_headers()

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        arrived.put((dict(self.headers.items()), body))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_):
        pass


def call(method, url, body=None, key=None):
    request = urllib.request.Request(url, method=method)
    request.add_header("content-type", "application/json")
    if key:
        request.add_header("authorization", f"Bearer {key}")
    data = None if body is None else json.dumps(body).encode()
    with urllib.request.urlopen(request, data, timeout=SECONDS) as response:
        return json.load(response)


def refuses(webhook, body, headers):
    try:
        webhook.verify(body, headers)
    except WebhookVerificationError:
        return True
    return False


def check(stack, port):
    base, key = stack["base_url"], stack["api_key"]
    secret = call("GET", f"{base}/v1/secret?reveal=true", key=key)["secret"]
    request = call(
        "POST",
        f"{base}/v1/requests",
        {
            "title": "Is this signature ours?",
            "recipients": ["a@example.com"],
            "options": [{"value": "yes", "label": "Yes"}],
            "callback_url": f"http://127.0.0.1:{port}/hook",
        },
        key,
    )
    token = request["recipients"][0]["answer_url"].rsplit("/", 1)[1]
    call("POST", f"{base}/v1/answers/{token}", {"option": "yes"})
    headers, body = arrived.get(timeout=SECONDS)
    headers = {name.lower(): value for name, value in headers.items()}

    ours = Webhook(secret)
    event = ours.verify(body, headers)
    assert event["type"] == "request.finished", event
    assert event["data"]["request_id"] == request["id"], event

    changed = bytearray(body)
    changed[len(changed) // 2] ^= 1
    assert refuses(ours, bytes(changed), headers), "a changed byte passed"

    other = Webhook("whsec_" + base64.b64encode(bytes(32)).decode())
    assert refuses(other, body, headers), "a wrong secret passed"

    # Signed by the library itself, so that nothing but its age is wrong.
    then = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(minutes=10)
    old = {
        "webhook-id": headers["webhook-id"],
        "webhook-timestamp": str(int(then.timestamp())),
        "webhook-signature": ours.sign(headers["webhook-id"], then, body.decode()),
    }
    assert refuses(ours, body, old), "an old timestamp passed"
    assert refuses(ours, body, {**headers, "webhook-timestamp": old["webhook-timestamp"]})


def main():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Receiver)

    threading.Thread(target=server.serve_forever, daemon=True).start()
    command = [sys.argv[1], "dev", "--json", "--memory", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            check(json.loads(process.stdout.readline()), server.server_port)
        finally:
            process.terminate()
    print("The signed callback verifies with standardwebhooks; what was altered does not.")


if __name__ == "__main__":
    main()
