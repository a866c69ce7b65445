"""HTTP services: ntfy, incoming webhooks of chat programs, and a system of the account's own; with faults."""

import http.server
import json
import re
import socket
import struct
import threading

LINK = re.compile(r"https?://[^\s<>|\"')\]]+/a/\w+")
# Longer than our patience.
SILENCE_SECONDS = 60


def first_link(text):
    return LINK.search(text).group()


def ntfy(call, service):
    """https://docs.ntfy.sh/publish/#publish-as-json"""
    if call.headers.get("authorization") != f"Bearer {service.token}":
        return 401, {"code": 40101, "http": 401, "error": "unauthorized"}
    message = call.json
    assert call.path == "/" and message["topic"] == service.topic, "an unknown topic"
    assert len(message["message"].encode()) <= 4096 and len(message["actions"]) <= 3, "too long"
    assert all(it["action"] in ("view", "http") and it["label"] and it["url"] for it in message["actions"])
    call.link = message["click"]
    return 200, {"id": "wZ3bWq1gd7rp", "time": 1, "event": "message", "topic": message["topic"]}


def teams(call, _service):
    """https://learn.microsoft.com/en-us/microsoftteams/platform/webhooks-and-connectors/how-to/connectors-using"""
    [attachment] = call.json["attachments"]
    assert call.json["type"] == "message" and len(call.body) <= 28_000
    assert attachment["contentType"] == "application/vnd.microsoft.card.adaptive"
    card = attachment["content"]
    assert card["type"] == "AdaptiveCard" and card["body"]
    [action] = card["actions"]
    assert action["type"] == "Action.OpenUrl"
    call.link = action["url"]
    return 202, None


def discord(call, _service):
    """https://discord.com/developers/docs/resources/webhook#execute-webhook"""
    assert 0 < len(call.json["content"]) <= 2000 and call.json["allowed_mentions"] == {"parse": []}
    assert all(len(it["description"]) <= 4096 for it in call.json["embeds"])
    call.link = first_link(call.json["content"])
    return 204, None


def mattermost(call, _service):
    """https://developers.mattermost.com/integrate/webhooks/incoming/"""
    assert 0 < len(call.json["text"]) <= 16_383
    call.link = first_link(call.json["text"])
    return 200, "ok"


def google_chat(call, _service):
    """https://developers.google.com/workspace/chat/quickstart/webhooks"""
    assert set(call.json) == {"text"} and len(call.json["text"].encode()) <= 4096
    call.link = first_link(call.json["text"])
    return 200, {"name": "spaces/s/messages/m"}


def slack(call, _service):
    """https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks"""
    blocks = call.json["blocks"]
    assert call.json["text"] and len(blocks) <= 50
    assert all(len(it["text"]["text"]) <= 3000 for it in blocks)
    call.link = first_link(blocks[-1]["text"]["text"])
    return 200, "ok"


def own_system(call, _service):
    assert call.headers["authorization"] == "Bearer canary-of-own-system"
    call.link = call.json["answer_url"]
    return 202, None


CHATS = {"teams": teams, "discord": discord, "mattermost": mattermost, "google_chat": google_chat, "slack": slack}


class Call:
    """A received call. `link` is set once its message is accepted."""

    def __init__(self, path, headers, body):
        self.path, self.headers, self.body = path, headers, body
        self.json, self.link = json.loads(body), None


class Service(http.server.ThreadingHTTPServer):
    """A service on loopback. Each entry of `faults` spoils one call: `(status, headers, body)`, or `close`,
    `silence`, `garbage`, `lost`, `half`. Later calls succeed."""

    daemon_threads = True

    def __init__(self, accept, faults=()):
        super().__init__(("127.0.0.1", 0), Handler)
        self.accept, self.faults = accept, list(faults)
        self.calls, self.problems, self.lock = [], [], threading.Lock()
        name = f"{accept.__name__.replace('_', '-')}-{self.server_port}"
        self.topic, self.token = f"canary-topic-{name}", f"canary-token-{name}"
        self.url = f"http://127.0.0.1:{self.server_port}"
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def notifier(self, **more):
        """The kind and the settings of a notifier that sends by this service."""
        if self.accept is ntfy:
            return "ntfy", {"url": self.url, "topic": self.topic, "token": self.token, **more}
        if self.accept is own_system:
            auth = {"type": "bearer", "token": "canary-of-own-system"}
            return "webhook", {"url": f"{self.url}/reach", "auth": auth, **more}
        url = f"{self.url}/hooks/canary-path-{self.server_port}"
        return "incoming_webhook", {"url": url, "format": self.accept.__name__, **more}

    def taken(self, asked=None):
        """The calls whose message was accepted, of one request or of all."""
        link = asked and asked["recipients"][0]["answer_url"]
        return [it for it in self.calls if it.link and link in (None, it.link)]

    def next_fault(self):
        with self.lock:
            return self.faults.pop(0) if self.faults else None


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_HEAD(self):
        self.reply(204)

    def do_POST(self):
        fault = self.server.next_fault()
        if fault == "close":
            return self.reset()
        body = self.rfile.read(int(self.headers["content-length"]))
        headers = {name.lower(): value for name, value in self.headers.items()}
        call = Call(self.path, headers, body)
        self.server.calls.append(call)
        if fault == "silence":
            threading.Event().wait(SILENCE_SECONDS)
            return self.reset()
        if fault == "garbage":
            return self.end(b"\x16\x03\x01\x00 this is no HTTP\r\n\r\n")
        if isinstance(fault, tuple):
            return self.reply(*fault)
        try:
            assert headers["content-type"] == "application/json", headers
            status, answer = self.server.accept(call, self.server)
        except (AssertionError, KeyError, IndexError, ValueError, AttributeError) as error:
            self.server.problems.append(repr(error))
            status, answer = 400, "bad request"
        if fault == "lost":
            return self.reset()
        if fault == "half":
            return self.end(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n{")
        self.reply(status, {}, answer)

    def reply(self, status, headers=None, answer=None):
        body = answer.encode() if isinstance(answer, str) else b"" if answer is None else json.dumps(answer).encode()
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        if status != 204:
            self.send_header("content-length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def end(self, answer):
        """Sends these bytes and no more."""
        self.wfile.write(answer)
        self.close_connection = True

    def reset(self):
        """Closes the connection without an answer."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 0, 0))
        self.close_connection = True

    def log_message(self, *_):
        pass
