"""Slack: the methods of its Web API that a bot calls, and the people who use its messages.

https://docs.slack.dev/apis/web-api and https://docs.slack.dev/interactivity/handling-user-interaction
"""

import collections
import hashlib
import hmac
import http.server
import json
import secrets
import threading
import time
import urllib.error
import urllib.parse
import urllib.request

from fakes import blocks as kit
from fakes.surfaces import Message, Modal

TRIGGER_SECONDS, RESPONSE_SECONDS = 3, 3
RESPONSE_URL_USES, RESPONSE_URL_SECONDS = 5, 30 * 60
DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))
JSON, FORM = "application/json", "application/x-www-form-urlencoded"

Call = collections.namedtuple("Call", ["method", "arguments", "answer"])
Response = collections.namedtuple("Response", ["status", "text"])


class Refused(Exception):
    """The error of `{"ok": false, "error": …}`."""


def signature(secret, timestamp, body):
    """https://docs.slack.dev/authentication/verifying-requests-from-slack"""
    text = f"v0:{timestamp}:".encode() + body
    return "v0=" + hmac.new(secret.encode(), text, hashlib.sha256).hexdigest()


class Workspace(http.server.ThreadingHTTPServer):
    """A workspace on loopback with an installed app. `faults` of a method spoil its next calls: an error such as
    `account_inactive`, or `(status, headers)`."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.lock = threading.Lock()
        port = self.server_port
        self.team, self.app = f"T0TEAM{port}", f"A0APP{port}"
        self.token = f"xoxb-canary-{secrets.token_hex(12)}"
        self.signing_secret = secrets.token_hex(16)
        self.url = f"http://127.0.0.1:{port}"
        # The address that the app's manifest says.
        self.request_url = None
        self.users, self.channels, self.messages, self.modals = {}, {"C0GENERAL1"}, {}, []
        self.calls, self.problems, self.whispers = [], [], []
        self.faults = collections.defaultdict(list)
        self.triggers, self.response_urls, self.is_installed = {}, {}, True
        self.last_ts = 0
        # Called with each new message, before its sender knows of it.
        self.on_post = lambda message: None
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def settings(self, **more):
        """The settings of a notifier that sends by this app."""
        secret = {"bot_token": self.token, "signing_secret": self.signing_secret}
        return {"api_url": f"{self.url}/api/", "team_id": self.team, **secret, **more}

    def hire(self, email):
        """Adds a user."""
        return self.users.setdefault(email, f"U0USER{len(self.users):03}")

    def of(self, method):
        return [it for it in self.calls if it.method == method]

    def now(self):
        """A time that no other message has."""
        with self.lock:
            self.last_ts = max(self.last_ts + 1, time.time_ns() // 1000)
            return f"{self.last_ts // 1_000_000}.{self.last_ts % 1_000_000:06}"

    # The Web API.

    def call(self, method, arguments, token):
        fault = self.faults[method].pop(0) if self.faults[method] else None
        if isinstance(fault, tuple):
            self.calls.append(Call(method, arguments, fault))
            return fault
        try:
            if fault:
                raise Refused(fault)
            if not token:
                raise Refused("not_authed")
            if token != f"Bearer {self.token}":
                raise Refused("invalid_auth")
            if not self.is_installed:
                raise Refused("account_inactive")
            answer = {"ok": True, **self.method(method)(arguments)}
        except Refused as refused:
            answer = {"ok": False, "error": str(refused)}
        except (kit.Invalid, KeyError, TypeError) as error:
            self.problems.append(f"{method}: {error!r}")
            answer = {"ok": False, "error": "invalid_blocks", "response_metadata": {"messages": [repr(error)]}}
        self.calls.append(Call(method, arguments, answer))
        return 200, {}, answer

    def method(self, name):
        methods = {
            "users.lookupByEmail": self.look_up, "chat.postMessage": self.post, "chat.update": self.update,
            "views.open": self.open,
        }  # fmt: skip
        if name not in methods:
            raise Refused("unknown_method")
        return methods[name]

    def look_up(self, arguments):
        """https://docs.slack.dev/reference/methods/users.lookupByEmail"""
        if arguments.get("is_json") or not arguments.get("email"):
            raise Refused("invalid_arguments")
        user = self.users.get(arguments["email"])
        if not user:
            raise Refused("users_not_found")
        return {"user": {"id": user, "team_id": self.team, "name": user.lower(), "profile": {}}}

    def check(self, arguments):
        """The text and blocks of a message."""
        text, blocks = arguments.get("text", ""), arguments.get("blocks")
        if not text and not blocks:
            raise Refused("no_text")
        if len(text) > 40_000:
            raise Refused("msg_too_long")
        # It fails on what is not escaped.
        kit.live_in(text)
        if blocks is not None:
            kit.check_message(blocks)
            if sum(kit.units(it["text"]) for it in kit.text_objects(blocks)) > kit.MESSAGE_UNITS_MAX:
                raise Refused("msg_blocks_too_long")
        return text, blocks

    def post(self, arguments):
        """https://docs.slack.dev/reference/methods/chat.postMessage"""
        known = {"channel", "text", "blocks", "mrkdwn", "unfurl_links", "unfurl_media", "thread_ts", "reply_broadcast"}
        kit.need(set(arguments) <= known, f"arguments: {set(arguments) - known}")
        to = arguments.get("channel")
        # A user stands for the direct messages with the app.
        channel = f"D{to[1:]}" if to in self.users.values() else to if to in self.channels else None
        if not channel:
            raise Refused("channel_not_found")
        text, blocks = self.check(arguments)
        ts = self.now()
        self.messages[channel, ts] = Message(channel, ts, text, blocks)
        self.on_post(self.messages[channel, ts])
        message = {"type": "message", "text": text, "ts": ts, "blocks": blocks, "app_id": self.app}
        return {"channel": channel, "ts": ts, "message": message}

    def update(self, arguments):
        """https://docs.slack.dev/reference/methods/chat.update"""
        known = {"channel", "ts", "text", "blocks"}
        kit.need(set(arguments) <= known, f"arguments: {set(arguments) - known}")
        if arguments["channel"] not in {channel for channel, _ in self.messages}:
            raise Refused("channel_not_found")
        message = self.messages.get((arguments["channel"], arguments["ts"]))
        if not message:
            raise Refused("message_not_found")
        message.text, message.blocks = self.check(arguments)
        message.edits += 1
        return {"channel": message.channel, "ts": message.ts, "text": message.text, "message": {"text": message.text}}

    def open(self, arguments):
        """https://docs.slack.dev/reference/methods/views.open"""
        kit.need(set(arguments) == {"trigger_id", "view"}, f"arguments: {set(arguments)}")
        with self.lock:
            if arguments["trigger_id"] not in self.triggers:
                raise Refused("invalid_trigger_id")
            began, user = self.triggers[arguments["trigger_id"]]
            if user is None:
                raise Refused("exchanged_trigger_id")
            self.triggers[arguments["trigger_id"]] = began, None
        if time.monotonic() - began > TRIGGER_SECONDS:
            raise Refused("expired_trigger_id")
        kit.check_view(arguments["view"])
        self.modals.append(Modal(arguments["view"], user))
        return {"view": {"id": f"V0VIEW{len(self.modals)}", "team_id": self.team, **arguments["view"]}}

    def respond(self, path, arguments):
        """https://docs.slack.dev/interactivity/handling-user-interaction#message_responses"""
        with self.lock:
            if path not in self.response_urls:
                return 404, {}, "expired_url"
            began, user, uses = self.response_urls[path]
            self.response_urls[path] = began, user, uses + 1
        if uses == RESPONSE_URL_USES or time.monotonic() - began > RESPONSE_URL_SECONDS:
            return 404, {}, "used_url"
        try:
            kit.need(arguments["response_type"] == "ephemeral", "it is for this user alone")
            kit.need(arguments["replace_original"] is False, "the message stays")
            text, blocks = self.check(arguments)
            kit.need(set(arguments) <= {"response_type", "replace_original", "text", "blocks"}, set(arguments))
        except (kit.Invalid, KeyError) as error:
            self.problems.append(f"response_url: {error!r}")
            return 200, {}, "invalid_blocks"
        self.whispers.append((user, Message(user, self.now(), text, blocks)))
        return 200, {}, "ok"

    # People.

    def press(self, user, message, label, wrong=()):
        """A user presses a button. Returns the payload, which can be sent again. `wrong` replaces members."""
        button = message.buttons()[label]
        trigger = f"{secrets.randbelow(10**12)}.{self.server_port}.{secrets.token_hex(16)}"
        path = f"/actions/{self.team}/{secrets.randbelow(10**12)}/{secrets.token_hex(12)}"
        self.triggers[trigger] = time.monotonic(), user
        self.response_urls[path] = time.monotonic(), user, 0
        action = {key: button[key] for key in ["action_id", "text", "value", "type", "style"] if key in button}
        payload = {
            "type": "block_actions",
            "user": {"id": user, "username": "x", "name": "x", "team_id": self.team},
            "api_app_id": self.app,
            "token": "deprecated",
            "container": {
                "type": "message", "message_ts": message.ts, "channel_id": message.channel, "is_ephemeral": False,
            },
            "trigger_id": trigger,
            "team": {"id": self.team, "domain": "acme"},
            "enterprise": None,
            "is_enterprise_install": False,
            "channel": {"id": message.channel, "name": "directmessage"},
            "message": {"type": "message", "text": message.text, "ts": message.ts, "blocks": message.blocks},
            "state": {"values": {}},
            "response_url": self.url + path,
            "actions": [{**action, "block_id": "Abc1", "action_ts": self.now()}],
        }  # fmt: skip
        payload.update(wrong)
        return payload

    def submission(self, modal, user=None):
        """The payload of a modal that a user submits."""
        user = user or modal.user
        return {
            "type": "view_submission",
            "team": {"id": self.team, "domain": "acme"},
            "user": {"id": user, "username": "x", "name": "x", "team_id": self.team},
            "api_app_id": self.app,
            "token": "deprecated",
            "trigger_id": f"1.{self.server_port}.{secrets.token_hex(16)}",
            "view": {**modal.view, "id": "V0VIEW1", "team_id": self.team, "state": modal.state(), "hash": "1.a"},
            "response_urls": [],
            "is_enterprise_install": False,
            "enterprise": None,
        }

    def submit(self, modal):
        """A user submits a modal, which closes, shows errors, or becomes another."""
        response = self.send(self.submission(modal))
        assert response.status == 200, response
        modal.errors = {}
        if not response.text:
            modal.view = None
            return
        answer = json.loads(response.text)
        if answer["response_action"] == "errors":
            kit.members(answer, ["response_action", "errors"])
            ids = {it["block_id"] for it in modal.inputs().values()}
            kit.need(answer["errors"] and set(answer["errors"]) <= ids and all(answer["errors"].values()), answer)
            modal.errors = answer["errors"]
        else:
            kit.members(answer, ["response_action", "view"])
            kit.need(answer["response_action"] == "update", answer)
            kit.check_view(answer["view"])
            modal.view = answer["view"]

    def send(self, payload, secret=None, age=0, **headers):
        """Sends a payload, signed. More than 3 s for the response are a failure, which people see."""
        body = urllib.parse.urlencode({"payload": json.dumps(payload)}).encode()
        timestamp = str(int(time.time()) - age)
        sent = {
            "content-type": FORM,
            "x-slack-request-timestamp": timestamp,
            "x-slack-signature": signature(secret or self.signing_secret, timestamp, body),
            "user-agent": "Slackbot 1.0 (+https://api.slack.com/robots)",
            **headers,
        }
        sent = {name: value for name, value in sent.items() if value is not None}
        request = urllib.request.Request(self.request_url, body, sent, method="POST")
        began = time.monotonic()
        try:
            with DIRECT.open(request, timeout=RESPONSE_SECONDS) as response:
                got = Response(response.status, response.read().decode())
        except urllib.error.HTTPError as error:
            got = Response(error.code, error.read().decode())
        seconds = time.monotonic() - began
        assert seconds < RESPONSE_SECONDS, f"a response after {seconds:.1f} s"
        return got

    def tap(self, user, message, label):
        """A user presses a button, and is shown what comes of it: the whispers that are new."""
        payload = self.press(user, message, label)
        before = len(self.whispers)
        response = self.send(payload)
        assert response == Response(200, ""), response
        return payload, [it.shown() for to, it in self.whispers[before:] if to == user]


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        kind = self.headers.get("content-type", "").partition(";")[0]
        if kind == JSON:
            arguments = json.loads(body)
        else:
            arguments = dict(urllib.parse.parse_qsl(body.decode()))
        workspace = self.server
        if self.path.startswith("/actions/"):
            return self.reply(*workspace.respond(self.path, arguments))
        method = self.path.removeprefix("/api/")
        if method == "users.lookupByEmail" and kind == JSON:
            arguments = {"is_json": True}
        self.reply(*workspace.call(method, arguments, self.headers.get("authorization")))

    def reply(self, status, headers, answer=""):
        body = answer.encode() if isinstance(answer, str) else json.dumps(answer).encode()
        self.send_response(status)
        for name, value in {"content-type": JSON, **headers}.items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass
