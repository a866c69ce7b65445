"""A local stack, as its owner uses it."""

import contextlib
import json
import os
import re
import shutil
import subprocess
import threading
import time
import urllib.error
import urllib.request

SECONDS = 60
INTERVAL_SECONDS = 0.2
# The notifiers that may exist at the same time: the limit of an account, without the stack's own and one to spare.
NOTIFIERS_MAX = 18
# Notifier settings that are secrets.
SECRET_SETTINGS = ["password", "topic", "token", "bot_token", "signing_secret"]
OPTIONS = [{"value": "approve", "label": "Approve"}, {"value": "reject", "label": "Reject"}]
DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def until(what, probe, seconds=SECONDS):
    """The first result of `probe` that is true."""
    end = time.monotonic() + seconds
    while True:
        result = probe()
        if result:
            return result
        if time.monotonic() > end:
            raise AssertionError(f"waited {seconds} s for: {what}")
        time.sleep(INTERVAL_SECONDS)


class Stack:
    """A running stack, and the secrets that must appear nowhere."""

    def __init__(self, program, folder):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        # Where `answerback dev` keeps its data, if nothing else is said.
        self.folder, self.data, self.program = folder, folder / ".answerback", program
        self.log = open(folder / "stderr.log", "wb")
        self.output = open(folder / "stdout.log", "wb")
        command = [program, "dev", "--json", "--port", "0"]
        environment = {**os.environ, "RUST_LOG": "info"}
        self.process = subprocess.Popen(
            command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=self.log
        )
        line = self.process.stdout.readline()
        if not line:
            raise AssertionError(f"{program.name} did not start: see {folder}/stderr.log")
        threading.Thread(target=lambda: shutil.copyfileobj(self.process.stdout, self.output), daemon=True).start()
        self.ready = json.loads(line)
        self.base, self.key = self.ready["base_url"], self.ready["api_key"]
        self.room = threading.Semaphore(NOTIFIERS_MAX)
        self.canaries, self.requests = set(), []

    def stop(self):
        self.process.terminate()
        self.process.wait(SECONDS)
        self.log.close()
        self.output.close()

    def call(self, method, path, body=None, key=None, status=None):
        """The JSON of a response, which has `status` or any 2xx."""
        headers = {"accept": "application/json", "content-type": "application/json"}
        if key != "":
            headers["authorization"] = f"Bearer {key or self.key}"
        data = None if body is None else json.dumps(body).encode()
        url = path if path.startswith("http") else self.base + path
        request = urllib.request.Request(url, data, headers, method=method)
        try:
            with DIRECT.open(request, timeout=SECONDS) as response:
                got, text = response.status, response.read()
        except urllib.error.HTTPError as error:
            got, text = error.code, error.read()
        assert got == status if status else got < 300, f"{method} {path}: {got} {text.decode()[:400]}"
        return json.loads(text) if text else None

    def pages(self, path, key=None):
        """All entries of a list."""
        cursor = None
        while True:
            query = f"{'&' if '?' in path else '?'}limit=100" + (f"&cursor={cursor}" if cursor else "")
            page = self.call("GET", path + query, key=key)
            yield from page["data"]
            cursor = page["next_cursor"]
            if not cursor:
                return

    @contextlib.contextmanager
    def notifier(self, kind, settings, **fields):
        """A notifier, which is deleted in the end."""
        self.canaries.update(settings[it] for it in SECRET_SETTINGS if it in settings)
        if kind == "incoming_webhook":
            self.canaries.add(settings["url"])
        self.canaries.update(it for it in settings.get("auth", {}).values() if it.startswith("canary"))
        with self.room:
            made = self.call("POST", "/v1/notifiers", {"kind": kind, "settings": settings, **fields})
            try:
                yield made["id"]
            finally:
                self.call("DELETE", f"/v1/notifiers/{made['id']}")

    def ask(self, title, ways, **fields):
        """Asks one person, by the first of the notifiers `ways` that works."""
        person = re.sub(r"\W+", "-", title).strip("-").lower()
        question = {
            "title": title,
            "recipients": [{"email": f"{person}@example.com"}],
            "options": OPTIONS,
            "timeout_seconds": 600,
            "callback_url": f"{self.ready['inbox_url']}/{person}",
            "notify": ways,
            **fields,
        }
        asked = self.call("POST", "/v1/requests", question)
        for row in asked["recipients"]:
            self.canaries.add(row["answer_url"].rsplit("/", 1)[1])
            self.canaries.update([row["code"]] if row.get("code") else [])
        self.requests.append(asked["id"])
        return asked

    def notification(self, asked):
        """The only notification of a request, or None."""
        found = list(self.pages(f"/v1/requests/{asked['id']}/notifications"))
        assert len(found) <= 1, found
        return found[0] if found else None

    def notified(self, asked, **expected):
        """The notification of a request, once it has these members."""
        seen = None

        def probe():
            nonlocal seen
            seen = self.notification(asked)
            return seen and all(seen[name] == value for name, value in expected.items()) and seen

        try:
            return until(f"a notification with {expected}", probe)
        except AssertionError as error:
            raise AssertionError(f"{error}, and saw {seen}") from None

    def callbacks(self, path):
        """The callbacks that arrived below a path of the inbox, newest first."""
        of = self.call("GET", self.ready["inbox_url"])["data"]
        return [it for it in of if it["path"] == f"/inbox/{path}"]

    def finished(self, asked, option):
        """Checks that one signed callback reports this answer."""
        path = asked["callback"]["url"].rsplit("/", 1)[1]
        [callback] = until("a callback", lambda: self.callbacks(path))
        assert callback["verified"], callback
        data = callback["body"]["data"]
        got = (callback["event"], data["request_id"], data["outcome"], data["decision"])
        assert got == ("request.finished", asked["id"], "completed", option), callback

    def mails(self, asked):
        """The mails about a request in the outbox, newest first."""
        person = asked["recipients"][0]["email"]
        return self.call("GET", f"{self.ready['outbox_url']}?to={person}")["data"]
