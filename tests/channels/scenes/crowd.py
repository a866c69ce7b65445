"""Many messages to a service that takes few a second, while other things happen. Takes minutes."""

import collections
import datetime
import statistics
import threading
import time

from fakes import http
from stack import OPTIONS, until

REQUESTS, RECIPIENTS = 5, 100
PER_SECOND = 5
# The service alone takes 100 s.
SECONDS = 900
OTHERS_INTERVAL_SECONDS = 0.5
# Of the first attempts at everything else.
P99_SECONDS_MAX = 2


class Metered(http.Service):
    """A service that takes few messages a second."""

    def __init__(self, accept):
        super().__init__(accept)
        self.recent, self.n_refused = collections.deque(), 0

    def next_fault(self):
        with self.lock:
            now = time.monotonic()
            while self.recent and self.recent[0] < now - 1:
                self.recent.popleft()
            if len(self.recent) >= PER_SECOND:
                self.n_refused += 1
                return 429, {"retry-after": "1"}
            self.recent.append(now)
            return None


def scenes(stack):
    yield "a crowd gets messages by a service that takes 5 a second", lambda: crowd(stack)


def crowd(stack):
    service = Metered(http.slack)
    kind, settings = service.notifier()
    with stack.notifier(kind, settings) as way:
        began, events, is_over = time.monotonic(), [], threading.Event()
        others = threading.Thread(target=lambda: post_events(stack, events, is_over), daemon=True)
        others.start()
        for number in range(REQUESTS):
            recipients = [{"email": f"crowd-{number}-{it}@example.com"} for it in range(RECIPIENTS)]
            stack.ask(f"Crowd {number}", [way], recipients=recipients, options=OPTIONS, timeout_seconds=3600)
        n_messages = REQUESTS * RECIPIENTS
        until("every message", lambda: len(service.taken()) >= n_messages, SECONDS)
        seconds = time.monotonic() - began
        is_over.set()
        others.join()
    links = [it.link for it in service.taken()]
    assert len(links) == len(set(links)) == n_messages, f"{len(links)} messages to {len(set(links))} recipients"
    assert not service.problems, service.problems[:3]
    delays = sorted(first_attempt(stack, it) for it in events)
    p99 = delays[min(len(delays) - 1, len(delays) * 99 // 100)]
    assert p99 < P99_SECONDS_MAX, f"the others' first attempts: p99 {p99:.2f} s of {len(delays)}"
    return (
        f"{n_messages} messages in {seconds:.0f} s, {service.n_refused} refusals; others' first attempts: "
        f"median {statistics.median(delays) * 1000:.0f} ms, p99 {p99 * 1000:.0f} ms of {len(delays)}"
    )


def post_events(stack, events, is_over):
    while not is_over.wait(OTHERS_INTERVAL_SECONDS):
        body = {"type": "crowd.other", "data": {}, "callback_url": f"{stack.ready['inbox_url']}/others"}
        events.append(stack.call("POST", "/v1/events", body))


def first_attempt(stack, event):
    """Seconds from the event to the first attempt at its callback."""
    def probe():
        return stack.call("GET", f"/v1/deliveries?event_id={event['id']}")["data"]

    [delivery] = until("a delivery", probe)
    attempts = until("an attempt", lambda: list(stack.pages(f"/v1/attempts?delivery_id={delivery['id']}")))
    made, started = [datetime.datetime.fromisoformat(it) for it in (delivery["created_at"], attempts[-1]["started_at"])]
    return (started - made).total_seconds()
