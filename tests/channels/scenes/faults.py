"""Services that fail, in every way that a service can."""

import datetime

from fakes import http, smtp
from stack import until

# The first retry comes after a minute, and up to a fifth more.
RETRY_SECONDS = (60, 72)
# How late we may look.
LATE_SECONDS = 15
THROTTLED = (429, {"retry-after": "1"})
UNAVAILABLE = (503, {"retry-after": "1"})
GONE_OF_MATTERMOST = (400, {}, {"id": "web.incoming_webhook.invalid.app_error", "status_code": 400})
# What may have arrived: the services of these faults took the message.
TAKEN = ["lost"]
LATER = ["close", "garbage", "lost", (500,), (502,)]
SLOW = [http.ntfy, http.discord]
REFUSES_NOTIFIER = {
    http.ntfy: [(401,), (403,), (404,)],
    http.teams: [(404,), (410,)],
    http.discord: [(401,), (404,)],
    http.mattermost: [GONE_OF_MATTERMOST],
    http.google_chat: [(403,)],
    http.slack: [(403,), (404,), (410,), (302, {"location": "http://127.0.0.1:1/"})],
    http.own_system: [(410,)],
}
REFUSES_MESSAGE = {http.ntfy: [(413,)], http.discord: [(400,)], http.slack: [(400,)]}
PASSWORD = "canary-password-of-faults"


def scenes(stack):
    ways = Ways(stack)
    yield "a disabled notifier and failed messages are reported", lambda: reported(stack)
    yield "a request ends while its message waits: not brought", lambda: cancelled(ways)
    # Those who wait longest come first.
    for accept in SLOW:
        yield f"{accept.__name__} is silent: tried again later", lambda it=accept: later(ways, it, "silence")
    yield "SMTP is silent: tried again later", lambda: mail_later(ways, smtp.Faults("data", "silence"))
    for accept in [http.ntfy, http.teams, http.own_system]:
        for fault in LATER:
            name = f"{accept.__name__} answers {shown(fault)}: tried again later"
            yield name, lambda it=accept, fault=fault: later(ways, it, fault)
    for accept in [http.ntfy, http.google_chat, http.own_system]:
        for fault in [THROTTLED, UNAVAILABLE]:
            name = f"{accept.__name__} answers {shown(fault)}: brought in time, once"
            yield name, lambda it=accept, fault=fault: throttled(ways, it, fault)
        yield f"{accept.__name__} breaks off after its 200: brought", lambda it=accept: half(ways, it)
    for accept, faults in REFUSES_NOTIFIER.items():
        for fault in faults:
            name = f"{accept.__name__} answers {shown(fault)}: disabled, and the next way is used"
            yield name, lambda it=accept, fault=fault: next_way(ways, it, fault, is_disabled=True)
    for accept, faults in REFUSES_MESSAGE.items():
        for fault in faults:
            name = f"{accept.__name__} answers {shown(fault)}: the next way is used"
            yield name, lambda it=accept, fault=fault: next_way(ways, it, fault, is_disabled=False)
    yield from mail_scenes(ways)


def mail_scenes(ways):
    for at, reply in [("recipient", "451 4.7.1 later"), ("sender", "421 busy"), ("data", "452 full")]:
        name = f"SMTP answers {reply} at {at}: brought in time, once"
        yield name, lambda it=(at, reply): mail_throttled(ways, smtp.Faults(*it, times=1))
    for at, reply in [
        ("greeting", "close"), ("greeting", "\x00 no SMTP"), ("greeting", "554 no service"),
        ("data", "close"), ("data", "lost"), ("recipient", "close"), ("recipient", "garbage of some length"),
    ]:  # fmt: skip
        name = f"SMTP answers {reply!r} at {at}: tried again later"
        yield name, lambda it=(at, reply): mail_later(ways, smtp.Faults(*it))
    for at, reply, is_disabled in [
        ("login", "535", True), ("sender", "550 5.7.1 not yours", True),
        ("recipient", "550 5.1.1 unknown", False), ("data", "554 5.6.0 spam", False),
    ]:  # fmt: skip
        name = f"SMTP answers {reply} at {at}: {'disabled, and ' if is_disabled else ''}the next way is used"
        yield name, lambda it=(at, reply), off=is_disabled: mail_next_way(ways, smtp.Faults(*it), off)


def shown(fault):
    return fault if isinstance(fault, str) else fault[0]


class Ways:
    """The stack, and a service that works, for the second way of all scenes."""

    def __init__(self, stack):
        self.stack, self.works = stack, http.Service(http.own_system)
        kind, settings = self.works.notifier()
        # For as long as the stack lives.
        self.fallback = stack.call("POST", "/v1/notifiers", {"kind": kind, "settings": settings})["id"]

    def ask(self, title, notifier, has_fallback):
        person = {"email": f"{title.replace(' ', '.')}@example.com"}
        if has_fallback:
            person["via"] = [notifier, self.fallback]
        return self.stack.ask(title, [notifier], recipients=[person])


def title_of(what, port):
    return f"Fault {what} {port}"


def waits_a_minute(stack, asked):
    """The first retry is planned for the time that the docs say."""
    seen = until("a planned retry", lambda: (it := stack.notification(asked)) and it["attempts"] and
                 it["next_attempt_at"] and it)  # fmt: skip
    assert (seen["status"], seen["attempts"], seen["error"], seen["at"]) == ("queued", 1, None, None), seen
    at = datetime.datetime.fromisoformat(seen["next_attempt_at"])
    seconds = (at - datetime.datetime.now(datetime.UTC)).total_seconds()
    least, most = RETRY_SECONDS
    assert least - LATE_SECONDS < seconds <= most, f"a retry in {seconds} s"


def later(ways, accept, fault):
    service = http.Service(accept, [fault])
    kind, settings = service.notifier()
    with ways.stack.notifier(kind, settings) as notifier:
        asked = ways.ask(title_of(accept.__name__, service.server_port), notifier, has_fallback=True)
        waits_a_minute(ways.stack, asked)
        is_enabled(ways.stack, notifier)
    assert len(service.calls) == (fault != "close"), service.calls
    assert len(service.taken()) == (fault in TAKEN), "brought more often than it was tried"
    assert not ways.works.taken(asked), "the next way is for what can never work"


def throttled(ways, accept, fault):
    service = http.Service(accept, [fault])
    kind, settings = service.notifier()
    with ways.stack.notifier(kind, settings) as notifier:
        asked = ways.ask(title_of(accept.__name__, service.server_port), notifier, has_fallback=True)
        ways.stack.notified(asked, status="sent", attempts=2, error=None, notifier=notifier)
        is_enabled(ways.stack, notifier)
    assert (len(service.calls), len(service.taken())) == (2, 1), service.problems
    assert not ways.works.taken(asked), "brought twice"


def cancelled(ways):
    """A message that waits for its service is not brought if its request ends."""
    service = http.Service(http.ntfy, [(429, {"retry-after": "2"})])
    kind, settings = service.notifier()
    with ways.stack.notifier(kind, settings) as notifier:
        asked = ways.ask(title_of("cancelled", service.server_port), notifier, has_fallback=True)
        until("a first call", lambda: service.calls)
        ways.stack.call("POST", f"/v1/requests/{asked['id']}/cancel", {})
        ways.stack.notified(asked, status="skipped", attempts=2, error="not_needed", next_attempt_at=None)
    assert len(service.calls) == 1 and not ways.works.taken(asked), "brought after the end"


def half(ways, accept):
    service = http.Service(accept, ["half"])
    kind, settings = service.notifier()
    with ways.stack.notifier(kind, settings) as notifier:
        asked = ways.ask(title_of(accept.__name__, service.server_port), notifier, has_fallback=True)
        ways.stack.notified(asked, status="sent", attempts=1, error=None)
    assert len(service.taken()) == 1 and not ways.works.taken(asked), "brought twice"


def next_way(ways, accept, fault, is_disabled):
    # It goes on to say so.
    service = http.Service(accept, [fault] * 9)
    kind, settings = service.notifier()
    with ways.stack.notifier(kind, settings) as notifier:
        asked = ways.ask(title_of(accept.__name__, service.server_port), notifier, has_fallback=True)
        brought_by_next(ways, asked, notifier, is_disabled)
    assert len(service.calls) == 1, service.calls


def brought_by_next(ways, asked, notifier, is_disabled):
    ways.stack.notified(asked, status="sent", attempts=2, error=None, notifier=ways.fallback)
    assert len(ways.works.taken(asked)) == 1, "not brought once"
    (is_refused if is_disabled else is_enabled)(ways.stack, notifier)


def is_enabled(stack, notifier):
    seen = stack.call("GET", f"/v1/notifiers/{notifier}")
    assert (seen["enabled"], seen["disabled"]) == (True, None), seen


def is_refused(stack, notifier):
    def probe():
        seen = stack.call("GET", f"/v1/notifiers/{notifier}")
        return seen["disabled"] and seen

    seen = until("a disabled notifier", probe)
    assert (seen["enabled"], seen["disabled"]["reason"]) == (False, "refused"), seen


def mail_later(ways, faults):
    server = smtp.Server(PASSWORD, faults)
    with ways.stack.notifier("email", server.settings()) as notifier:
        asked = ways.ask(title_of("smtp", server.port), notifier, has_fallback=True)
        waits_a_minute(ways.stack, asked)
        is_enabled(ways.stack, notifier)
    assert server.connections == 1 and len(server.mails) == (faults.reply in TAKEN), server.mails
    assert not ways.works.taken(asked), "the next way is for what can never work"


def mail_throttled(ways, faults):
    server = smtp.Server(PASSWORD, faults)
    with ways.stack.notifier("email", server.settings()) as notifier:
        asked = ways.ask(title_of("smtp", server.port), notifier, has_fallback=True)
        ways.stack.notified(asked, status="sent", attempts=2, error=None, notifier=notifier)
    assert (server.connections, len(server.mails)) == (2, 1), server.mails
    assert not ways.works.taken(asked), "brought twice"


def mail_next_way(ways, faults, is_disabled):
    server = smtp.Server(PASSWORD, faults)
    with ways.stack.notifier("email", server.settings()) as notifier:
        asked = ways.ask(title_of("smtp", server.port), notifier, has_fallback=True)
        brought_by_next(ways, asked, notifier, is_disabled)
    assert (server.connections, server.mails) == (1, []), server.mails


def reported(stack):
    """Webhooks learn of it all."""
    types = ["notifier.disabled", "notification.failed", "request.unreachable"]
    hook = {"url": f"{stack.ready['inbox_url']}/reports", "event_types": types, "probe": "skip"}
    stack.call("POST", "/v1/webhooks", hook)
    service = http.Service(http.slack, [(404,)])
    kind, settings = service.notifier()
    with stack.notifier(kind, settings) as notifier:
        asked = stack.ask("Reported?", [notifier])
        failed = stack.notified(asked, status="failed", attempts=1, error="refused", next_attempt_at=None)
        is_refused(stack, notifier)

    def of_scene():
        callbacks = stack.callbacks("reports")
        assert all(it["verified"] for it in callbacks), callbacks
        bodies = [it["body"] for it in callbacks]
        ours = {
            it["type"]: it["data"]
            for it in bodies
            if notifier in (it["data"].get("notifier_id"), None) or it["data"].get("request_id") == asked["id"]
        }
        return len(ours) == len(types) and ours

    data = until("three reports", of_scene)
    assert data["notifier.disabled"] == {"notifier_id": notifier, "kind": kind, "reason": "refused"}, data
    expected = {
        "request_id": asked["id"], "notification_id": failed["id"], "recipient": asked["recipients"][0]["email"],
        "notifier_id": notifier, "error": "refused",
    }  # fmt: skip
    assert data["notification.failed"] == expected, data
    assert data["request.unreachable"]["request_id"] == asked["id"], data
    seen = stack.call("GET", f"/v1/requests/{asked['id']}")
    assert seen["status"] == "pending", "it waits, unless it says otherwise"
