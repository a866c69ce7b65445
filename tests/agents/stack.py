"""A local stack with an agent's key, and the person who answers the agent."""

import itertools
import json
import os
import re
import subprocess
import threading
import time
import urllib.error
import urllib.request

SECONDS = 60
DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))
TOKEN = re.compile(r"/a/([0-9a-z]{20,})")
# Seconds after which a person answers, by the first part of their address. Calls are held for 20 seconds. `after-N` says yes after N.
ANSWERS = {
    "late": (22, {"option": "yes"}),
    "writes": (1, {"fields": {"answer": "Blue."}}),
    "rejects": (1, {"option": "reject"}),
    "approves": (1, {"option": "approve"}),
    "decides": (8, {"option": "yes"}),
}


class Stack:
    """A running stack."""

    def __init__(self, program, folder):
        folder.mkdir(parents=True, exist_ok=True)
        self.program, self.folder = program, folder
        self.log = open(folder / "stderr.log", "wb")
        command = [program, "dev", "--json", "--memory", "--port", "0"]
        environment = {**os.environ, "RUST_LOG": "info"}
        self.process = subprocess.Popen(
            command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=self.log, text=True
        )
        line = self.process.stdout.readline()
        if not line:
            raise AssertionError(f"{program.name} did not start: see {folder}/stderr.log")
        ready = json.loads(line)
        self.base, self.key = ready["base_url"], ready["api_key"]
        self.agent = self.agent_key()

    def agent_key(self):
        """A key as `answerback keys create --agent` creates it, with room for many questions. Of each key, 25 calls
        are held in 25 seconds."""
        return self.new_key({
            "scopes": ["requests:read", "requests:ask"],
            "recipients_allowed": ["*@example.com"],
            "asks_per_hour": 1000,
            "requester": {"kind": "agent", "name": "Agent"},
        })  # fmt: skip

    def new_key(self, settings):
        return self.call("POST", "/v1/keys", settings)["key"]

    def stop(self):
        self.process.terminate()
        self.process.wait(SECONDS)
        self.log.close()

    def call(self, method, path, body=None):
        """The JSON of a response to the stack's owner."""
        headers = {
            "accept": "application/json",
            "authorization": f"Bearer {self.key}",
            "content-type": "application/json",
        }
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.base + path, data, headers, method=method)
        with DIRECT.open(request, timeout=SECONDS) as response:
            text = response.read()
        return json.loads(text) if text else None

    def requests(self):
        """All requests."""
        found, cursor = [], None
        while True:
            page = self.call("GET", "/v1/requests?limit=100" + (f"&cursor={cursor}" if cursor else ""))
            found += page["data"]
            cursor = page["next_cursor"]
            if not cursor:
                return found


class Person:
    """Reads the mails of a stack, and answers those that `ANSWERS` knows."""

    def __init__(self, stack):
        self.stack, self.tokens, self.answered, self.errors = stack, set(), set(), []
        self.seen, self.is_over = set(), threading.Event()
        self.thread = threading.Thread(target=self.work, daemon=True)
        self.thread.start()

    def work(self):
        while not self.is_over.wait(0.2):
            for mail in self.stack.call("GET", "/outbox")["data"]:
                if mail["id"] in self.seen:
                    continue
                self.seen.add(mail["id"])
                self.read(mail)

    def read(self, mail):
        tokens = set(TOKEN.findall(mail["text"]))
        self.tokens |= tokens
        [address] = mail["to"]
        name = re.split(r"[.@]", address)[0]
        if name.startswith("after-"):
            known = (int(name.removeprefix("after-")), {"option": "yes"})
        else:
            known = ANSWERS.get(name)
        if known and len(tokens) == 1:
            seconds, answer = known
            threading.Timer(seconds, self.answer, [address, *tokens, answer]).start()

    def answer(self, address, token, answer):
        try:
            self.stack.call("POST", f"/v1/answers/{token}", answer)
            self.answered.add(address)
        except urllib.error.URLError as error:
            self.errors.append(f"{address}: {error}")

    def stop(self):
        self.is_over.set()
        self.thread.join()


class Rpc:
    """Messages of the version 2026-07-28, without a library."""

    ids = itertools.count(1)

    @classmethod
    def message(cls, method, params, extensions=()):
        """The headers and the body of one."""
        meta = {
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientInfo": {"name": "check", "version": "1"},
            "io.modelcontextprotocol/clientCapabilities": {"extensions": {it: {} for it in extensions}},
        }
        name = params.get("name") or params.get("taskId")
        headers = {
            "Accept": "application/json, text/event-stream",
            "Content-Type": "application/json",
            "MCP-Protocol-Version": "2026-07-28",
            "Mcp-Method": method,
            **({"Mcp-Name": name} if name else {}),
        }
        body = {"jsonrpc": "2.0", "id": next(cls.ids), "method": method, "params": {**params, "_meta": meta}}
        return headers, json.dumps(body).encode()

    @classmethod
    def call(cls, stack, method, params, extensions=()):
        """The response to one, and the seconds that it took."""
        headers, body = cls.message(method, params, extensions)
        headers["Authorization"] = f"Bearer {stack.agent}"
        began = time.monotonic()
        request = urllib.request.Request(f"{stack.base}/mcp", body, headers)
        with DIRECT.open(request, timeout=SECONDS) as response:
            return json.loads(response.read()), time.monotonic() - began
