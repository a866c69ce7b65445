"""Failures that are accepted, each with its reason.

A call that matches its schema may still break a rule that the schema does not say. Such a call may be
refused, but only if each error of the response is a rule in `RULES`, from an operation and at a place that
the rule names. Any other refusal is a failure, as is any other check.
"""

import json
import re
from typing import NamedTuple

import jsonschema_rs

ANY = ".*"
LISTS = r"GET /(v1|nextmv/v1)/.*"
CREATE_REQUEST = r"POST /v1/requests"
EVENTS = r"POST /(v1/events|(nextmv/)?v1/webhooks/\{id\}/trigger)"
WEBHOOKS = r"(POST|PUT|PATCH) /(nextmv/)?v1/webhooks(/\{id\})?"
NOTIFIERS = r"(POST|PATCH) /v1/notifiers(/\{id\})?"
ANSWERS = r"POST /v1/(answers/\{token\}|requests/\{id\}/responses)"
LINKS = r"(GET|HEAD|POST) /a/\{token\}|GET /v1/answers/\{token\}"
PING = r"POST /v1/send/\{token\}"
FORM = "POST /a/{token}"
CALLBACK_URL = r"/(callback_url|response_request/callback_url|url|endpoint_url)"

# The members that each type of a Ping action has.
ACTION_MEMBERS = {
    "button": {"type", "label", "key", "style"},
    "url": {"type", "label", "value"},
    "toggle": {"type", "label", "key", "value", "required"},
    "text": {"type", "label", "key", "value", "required", "max_length"},
    "number": {"type", "label", "key", "value", "required", "min", "max"},
    "select": {"type", "label", "key", "value", "required", "options"},
}
# The OpenAPI document, once it is loaded.
document = {}


class Rule(NamedTuple):
    """A rule that a schema does not say."""

    reason: str
    operation: str
    place: str
    detail: str


class Error(NamedTuple):
    """One error of a response: a JSON Pointer or the name of a parameter, and the rule."""

    place: str
    detail: str


RULES = [
    # Values that come from the service, or that it checks with more than a pattern.
    Rule("a cursor comes from an earlier page", LISTS, "cursor", "must be the `next_cursor` of a page"),
    Rule("a key is for one body", "POST .*", "", "this Idempotency-Key was already used with another body"),
    Rule("a callback URL is public and canonical", ANY, CALLBACK_URL, "is not allowed: .*"),
    Rule("a callback URL is public and canonical", PING, CALLBACK_URL, "must be an https URL of a public server.*"),
    Rule("an approval is of an action", CREATE_REQUEST, "/consume", "requires `action`"),
    Rule("a requester does not answer", CREATE_REQUEST, "", "the requester is one of the recipients"),
    Rule("a key that only asks sees no callbacks", "POST /v1/keys", "/scopes", "must not have webhooks:.* alone: .*"),
    Rule(
        "a key that changes notifiers sees links and answers",
        "POST /v1/keys",
        "/scopes",
        "must (not )?have .* with .*: notifiers see every link.*",
    ),
    Rule("a pattern is of addresses", "POST /v1/keys", "/recipients_allowed/.*", "must be an address or a pattern .*"),
    Rule("a required probe needs a receiver", ANY, CALLBACK_URL, "did not respond to the probe: .*"),
    Rule("a header may be reserved", ANY, ".*/(headers/.*|auth/name)", "is reserved(; set `auth`)?"),
    Rule("a header has one value", ANY, ".*/auth", "must not name a header that `headers` sets"),
    Rule("a header has one value", ANY, ".*/headers/.*", "is duplicated"),
    Rule("a time to come is in the future", "POST /v1/keys", "/expires_at", "must be in the future"),
    Rule("a deadline is near", CREATE_REQUEST, "/deadline", "must be at (least 5 seconds|most 365 days) from now"),
    Rule("a period has an end", "POST .*/recover", "/until", "must be later than `since`"),
    Rule("some event types are reserved", "POST /v1/events", "/type", "is reserved for events of Answerback"),
    Rule("the data of an event depends on its type", EVENTS, "/data/.*", "is required|is not a known field|must be .*"),
    Rule("e-mail addresses follow IDNA", ANY, "/(recipients?|user_emails|requester)(/.*)?", "must be an e-mail address"),
    # Rules for several members of one body.
    Rule(
        "keys, values and recipients are unique",
        ANY,
        "/(options|fields|recipients|user_emails|actions|response_request/options)/.*",
        "is duplicated",
    ),
    Rule("a line has visible text", ANY, ANY, "must (be one line|not be blank)"),
    Rule("a line has visible text", "POST /api/notify", "/message", "must not be empty"),
    Rule("a request has options or fields", CREATE_REQUEST, "/options", "must not be empty without fields"),
    Rule(
        "rules of a request name its options",
        CREATE_REQUEST,
        "/(quorum|on_deadline|consume|fields/.*/required)/.*",
        "is not one of the options",
    ),
    Rule("a veto option does not count", CREATE_REQUEST, "/quorum/veto/.*", "must not be the option that counts"),
    Rule(
        "a quorum has at most all recipients", CREATE_REQUEST, "/quorum/count", r"must be a whole number from 1 to \d+"
    ),
    Rule("only leases have a duration", CREATE_REQUEST, "/read/lease_seconds", 'requires `"mode": "lease"`'),
    Rule("the range of a number is not empty", CREATE_REQUEST, "/fields/.*/max", "must not be (less than|before) `min`"),
    Rule(
        "members of a field depend on its type",
        CREATE_REQUEST,
        "/fields/[0-9]+/(placeholder|max_length|min|max|choices)",
        "is (not a known field|required)",
    ),
    Rule("a default fits its field", CREATE_REQUEST, "/fields/.*/default", "is not one of the choices|must .*|has an entry .*"),
    Rule("settings of a callback need its URL", ANY, "/callback_url", "is required with `callback`"),
    Rule(
        "some profiles have no body for events",
        CREATE_REQUEST,
        "/callback/(profile|body)",
        "must have a body for requests; .*",
    ),
    Rule(
        "some profiles have no body for events",
        "POST /v1/events",
        "/callback/(profile|body)",
        "must have a body for posted events; .*",
    ),
    Rule(
        "some profiles have no body for events",
        WEBHOOKS,
        "/event_types(/.*)?",
        "must (be|not include) request events.*",
    ),
    Rule("some profiles have no body for events", WEBHOOKS, "/(profile|body)", "must not change to or from a body .*"),
    # Rules of notifiers that a request names, and of its steps.
    Rule("a request names notifiers of its account", CREATE_REQUEST, "/notify/.*", "is (not a notifier of the account|disabled)"),
    Rule(
        "a recipient names notifiers of the account",
        ANY,
        "/.*/via(/.*)?",
        "is (not a notifier of the account|disabled)|the account has no notifier .*|must not be used with .*",
    ),
    Rule("steps are in order, before the deadline", CREATE_REQUEST, "/steps/.*/after_seconds", "must be (after|before) .*"),
    Rule("an escalation needs recipients", CREATE_REQUEST, "/steps/.*/do", "must not be `escalate` without .*"),
    Rule(
        "recipients of steps are unique",
        CREATE_REQUEST,
        "/steps/.*/to(/.*)?",
        "is duplicated|must be an e-mail address|must leave at most .*",
    ),
    # Rules of the kind of a notifier, and of what is stored of it.
    Rule("a test of an e-mail has an address", "POST /v1/notifiers/.*/test", "/to", "must be .*|is required|is not a .*"),
    Rule("a message is of the protocol", "POST /mcp", "", ".*"),
    Rule("a payload is of Slack", r"POST /v1/slack/\{notifier_id\}", "", "the body must be a form .*"),
    Rule("a notifier's address is public", NOTIFIERS, "/settings/(host|url|api_url)", "is not allowed.*|must be a host name .*"),
    Rule("a sender is one mailbox", NOTIFIERS, "/settings/(from|reply_to)", "must (be|have) .*|is not allowed .*"),
    Rule("a notifier keeps its kind", NOTIFIERS, "/kind", "must not change; .*"),
    Rule("settings are of the kind", "PATCH .*", "/settings/.*", "is not a known field|is required.*"),
    Rule("a login has a name and a password", NOTIFIERS, "/settings/(username|password)", "is required.*"),
    Rule("a login is text", NOTIFIERS, "/settings/(username|password)", "must not contain control characters"),
    # Rules of the request that is answered.
    Rule("an answer fits its request", ANSWERS, "/option", "(choose one of the options|is not one of the options.*)"),
    Rule("an answer fits its request", ANSWERS, "/fields/.*", "is not a field of this request|is required|must .*"),
    Rule("an answer fits its request", ANSWERS, "/recipient", "is not one of the recipients|is required.*"),
    # Rules of the action's type.
    Rule(
        "an action fits its type", PING, "/actions/.*", "is required|is not one of the choices|must (be|have|not be) .*"
    ),
]


def errors(response):
    """The errors of a refusal, in the format of any front. Empty if it has none."""
    try:
        body = json.loads(response.text)
    except ValueError:
        return []
    if not isinstance(body, dict):
        return []
    if isinstance(body.get("error"), dict):
        return [Error("", body["error"]["message"])]
    if "errors" in body:
        return [Error(it.get("pointer", it.get("parameter")), it["detail"]) for it in body["errors"]]
    text = body.get("detail") or body.get("details") or body.get("error") or ""
    parts = [re.fullmatch("`(/[^`]*)` (.*)", it, re.DOTALL) for it in text.split("; ")]
    return [Error(*it.groups()) for it in parts] if all(parts) else [Error("", text)]


def rule(operation, error):
    """The rule that the error is about, or `None`."""
    for it in RULES:
        pairs = (it.operation, operation), (it.place, error.place), (it.detail, error.detail)
        if all(re.fullmatch(pattern, text, re.DOTALL) for pattern, text in pairs):
            return it
    return None


def refusal(case, response):
    """The reason why a call that matches its schema may be refused."""
    if response.status_code == 410 and re.fullmatch(f"{LINKS}|{ANSWERS}", case.operation.label):
        return "a request that ended takes no answer"
    if case.operation.label == FORM and response.status_code == 422 and is_other_answer(case):
        return "an answer fits its request"
    rules = [rule(case.operation.label, it) for it in errors(response)]
    return rules[0].reason if rules and all(rules) else None


def is_other_answer(case):
    """The form does not fit the requests that its links are for: see `data.QUESTION`."""
    fields = {it for it in case.body if it.startswith("field.")}
    return case.body.get("option") not in ("approve", "reject") or not fields <= {"field.comment"}


def matches(schema, value):
    reference = {"$ref": f"#/components/schemas/{schema}", "components": document["components"]}
    return jsonschema_rs.validator_for(reference).is_valid(value)


def without_other_members(message):
    """A Ping message without the members that the types of its actions do not have."""
    known = set(document["components"]["schemas"]["PingAction"]["properties"])
    actions = [
        {name: it for name, it in action.items() if name not in known - ACTION_MEMBERS.get(action.get("type"), known)}
        for action in message["actions"]
    ]
    return {**message, "actions": actions}


def acceptance(case, response):
    """The reason why a call that does not match its schema may be accepted."""
    operation, body = case.operation.label, case.body
    if operation == FORM and response.status_code == 303 and isinstance(body, dict) and "new_code" in body:
        return "the button for a new code ignores the rest of the form"
    if operation == "POST /v1/send/{token}" and isinstance(body, dict):
        actions = body.get("actions")
        if isinstance(actions, list) and all(isinstance(it, dict) for it in actions):
            if matches("PingMessage", without_other_members(body)):
                return "members of other types of actions are ignored"
    return None


def reason(failure, case, response):
    """The reason to accept a failure, or `None`."""
    kind = type(failure).__name__
    if kind == "RejectedPositiveData":
        return refusal(case, response)
    if kind == "AcceptedNegativeData":
        return acceptance(case, response)
    return None
