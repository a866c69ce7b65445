"""Data that makes the routes of a local stack reachable, and the operations that use it."""

import json
import time
import urllib.request

SECONDS = 30
QUESTION = {
    "title": "Deploy?",
    "recipients": ["ada@example.com"],
    "options": [{"value": "approve", "label": "Approve"}, {"value": "reject", "label": "Reject"}],
    "fields": [{"key": "comment", "type": "text", "label": "Comment"}],
}
EVENT = {"type": "job.completed", "data": {"executionId": "exec-42", "status": "succeeded"}}

# The ids that an operation gets for a parameter, by the names in `Stack.ids`. Some calls use an id up.
PARAMETERS = {
    "getRequest": {"path.id": "ended"},
    "eraseRequest": {"path.id": "erasable"},
    "cancelRequest": {"path.id": "cancellable"},
    "createResponse": {"path.id": "pending"},
    "getResult": {"path.id": "ended"},
    "acknowledgeResult": {"path.id": "leased"},
    "getAnswerPage": {"path.token": "pending_links"},
    "headAnswerPage": {"path.token": "pending_links"},
    "submitAnswerPage": {"path.token": "changeable_links"},
    "getQuestion": {"path.token": "pending_links"},
    "createAnswer": {"path.token": "pending_links"},
    "preflightAnswer": {"path.token": "pending_links"},
    "getEvent": {"path.id": "events"},
    "listDeliveries": {"query.webhook_id": "webhooks", "query.request_id": "ended", "query.event_id": "events"},
    "getDelivery": {"path.id": "deliveries"},
    "redeliver": {"path.id": "deliveries"},
    "listAttempts": {"query.delivery_id": "deliveries"},
    "getAttempt": {"path.id": "attempts"},
    "getWebhook": {"path.id": "webhooks"},
    "replaceWebhook": {"path.id": "webhooks"},
    "updateWebhook": {"path.id": "webhooks"},
    "deleteWebhook": {"path.id": "doomed_webhooks"},
    "triggerWebhook": {"path.id": "stable_webhooks"},
    "recoverWebhook": {"path.id": "stable_webhooks"},
    "listWebhookAttempts": {"path.id": "stable_webhooks"},
    "getWebhookSecret": {"path.id": "webhooks"},
    "rotateWebhookSecret": {"path.id": "webhooks"},
    "expirePreviousWebhookSecrets": {"path.id": "webhooks"},
    "revokeKey": {"path.id": "keys"},
    "deleteChannel": {"path.id": "doomed_channels"},
    "regenerateChannel": {"path.id": "channels"},
    "getChannelSecret": {"path.id": "channels"},
    "rotateChannelSecret": {"path.id": "channels"},
    "expirePreviousChannelSecrets": {"path.id": "channels"},
    "pingSend": {"path.token": "channel_tokens"},
    "pingGetAnswer": {"path.token": "channel_tokens", "path.message_id": "messages"},
    "nextksGetStatus": {"path.request_id": "ended"},
    "getNotifier": {"path.id": "notifiers"},
    "updateNotifier": {"path.id": "notifiers"},
    "deleteNotifier": {"path.id": "doomed_notifiers"},
    "testNotifier": {"path.id": "notifiers"},
    "nextmvGetWebhook": {"path.id": "webhooks"},
    "nextmvReplaceWebhook": {"path.id": "webhooks"},
    "nextmvUpdateWebhook": {"path.id": "webhooks"},
    "nextmvDeleteWebhook": {"path.id": "doomed_webhooks"},
    "nextmvTriggerWebhook": {"path.id": "stable_webhooks"},
    "nextmvListWebhookConversations": {"path.id": "stable_webhooks"},
    "nextmvGetWebhookSecret": {"path.id": "webhooks"},
    "nextmvRotateWebhookSecret": {"path.id": "webhooks"},
    "nextmvListConversations": {"query.delivery_id": "deliveries"},
    "nextmvGetConversation": {"path.id": "attempts"},
}


class Stack:
    """Creates objects on a local stack."""

    def __init__(self, stack):
        self.base, self.key, self.inbox = stack["base_url"], stack["api_key"], stack["inbox_url"]

    def call(self, method, path, body=None):
        request = urllib.request.Request(self.base + path, method=method)
        request.add_header("content-type", "application/json")
        request.add_header("authorization", f"Bearer {self.key}")
        data = None if body is None else json.dumps(body).encode()
        with urllib.request.urlopen(request, data, timeout=SECONDS) as response:
            return json.load(response)

    def request(self, **more):
        return self.call("POST", "/v1/requests", {**QUESTION, **more})

    def requests(self, count, **more):
        return [self.request(**more) for _ in range(count)]

    def answered(self, **more):
        request = self.request(**more)
        self.call("POST", f"/v1/answers/{link(request)}", {"option": "approve"})
        return request

    def webhooks(self, name, count):
        ids = [f"{name}-{number}" for number in range(count)]
        for webhook_id in ids:
            # No other call sends it events.
            body = {"id": webhook_id, "url": f"{self.inbox}/{webhook_id}", "event_types": ["nothing.happens"]}
            self.call("POST", "/v1/webhooks", body)
        return ids

    def notifiers(self, count):
        settings = {"url": f"{self.inbox}/ntfy", "topic": "fuzzed"}
        return [self.call("POST", "/v1/notifiers", {"kind": "ntfy", "settings": settings})["id"] for _ in range(count)]

    def channels(self, count):
        return [self.call("POST", "/v1/channels", {"name": f"Channel {number}"}) for number in range(count)]

    def key_of(self, **more):
        return self.call("POST", "/v1/keys", {"name": "Fuzzed", "scopes": ["requests:read"], **more})

    def deliveries(self, events):
        """The deliveries of these events, once they have an attempt."""
        deadline = time.monotonic() + SECONDS
        while time.monotonic() < deadline:
            found = [self.call("GET", f"/v1/deliveries?event_id={event}")["data"] for event in events]
            if all(it and it[0]["attempts"] for it in found):
                return [it[0]["id"] for it in found]
            time.sleep(0.1)
        raise TimeoutError("the events were not delivered")


def link(request):
    """The token of the answer link of its only recipient."""
    return request["recipients"][0]["answer_url"].rsplit("/", 1)[1]


def ids(objects):
    return [it["id"] for it in objects]


def create(stack):
    """Creates all objects. Returns their ids and the operations that use them."""
    it = Stack(stack)
    callback = {"callback_url": f"{it.inbox}/callbacks"}
    pending = it.requests(30, mode="on_timeout")
    changeable = it.requests(10, mode="on_timeout")
    leased = [it.answered(read={"mode": "lease", "lease_seconds": 900}) for _ in range(6)]
    receipts = {request["id"]: it.call("GET", f"/v1/requests/{request['id']}/result")["receipt"] for request in leased}
    events = ids([it.call("POST", "/v1/events", {**EVENT, **callback}) for _ in range(4)])
    deliveries = it.deliveries(events)
    attempts = [it.call("GET", f"/v1/attempts?delivery_id={delivery}")["data"][0]["id"] for delivery in deliveries]
    channels = it.channels(6)
    # Its token stays the same, because no operation gets its id.
    channel, token = (channels[0][name] for name in ("id", "token"))
    messages = ids([it.call("POST", f"/v1/send/{token}", {"title": "Deploy?", "body": "v2"}) for _ in range(4)])
    return {
        "test_key": it.key_of(scopes=["admin"], livemode=False)["key"],
        "own_key_id": "key_" + it.key.split("_")[2],
        "receipts": receipts,
        "parameters": PARAMETERS,
        "ids": {
            "pending": ids(pending),
            "pending_links": [link(request) for request in pending],
            "changeable_links": [link(request) for request in changeable],
            "cancellable": ids(it.requests(30)),
            "erasable": ids(it.requests(30)),
            "ended": ids([it.answered(**callback) for _ in range(4)]),
            "leased": ids(leased),
            "events": events,
            "deliveries": deliveries,
            "attempts": attempts,
            "webhooks": it.webhooks("changed", 8),
            "stable_webhooks": it.webhooks("stable", 4),
            "doomed_webhooks": it.webhooks("doomed", 20),
            "notifiers": it.notifiers(4),
            "doomed_notifiers": it.notifiers(8),
            "keys": ids([it.key_of() for _ in range(30)]),
            "channels": [other["id"] for other in channels if other["id"] != channel],
            "doomed_channels": ids(it.channels(20)),
            "channel_tokens": [token],
            "messages": messages,
        },
    }
