"""Changes of calls before they are sent, and a log of the responses. Schemathesis imports this file."""

import datetime
import itertools
import json
import os
import pathlib

import data
import exceptions
import schemathesis
from hypothesis import provisional
from hypothesis import strategies as st

FOLDER = pathlib.Path(os.environ["CONTRACT_FOLDER"])
SEEDS = json.loads((FOLDER / "seeds.json").read_text())
RECEIVER = f"{SEEDS['inbox_url']}/fuzzed"
# Receivers in the document, which do not exist.
DOCUMENTED_URLS = "https://hooks.example.com/", "https://ci.example.com/", "https://your-server.com/"
URL_MEMBERS = "callback_url", "url", "endpoint_url"
DOCUMENTED_DEADLINE = "2026-11-22T09:00:00Z"
TOMORROW = (datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
# A call waits for the end of a request no longer than this. The document's limit would use up the time.
WAIT_SECONDS_MAX = 1
# A longer value is an invalid one.
DOCUMENTED_WAIT_SECONDS_MAX = 25
# Letters for the control characters that no text may have.
LETTERS = {it: "x" for it in [*range(0x20), *range(0x7F, 0xA0)] if chr(it) not in "\t\n\r"}
# Characters of a call and its response that the log keeps.
LOGGED_CHARACTERS_MAX = 2_000

ids = {name: itertools.cycle(values) for name, values in SEEDS["ids"].items()}
numbers = itertools.count()
logs = {name: (FOLDER / f"{name}.jsonl").open("a", buffering=1) for name in ("calls", "accepted", "failures")}
# The document's examples of ids, links and keys. They name objects that do not exist.
documented = set()

# Nothing listens at the second. The others have no address, or are refused.
schemathesis.openapi.format("uri", st.one_of(st.just(RECEIVER), st.just(SEEDS["silent_url"]), provisional.urls()))


def log(name, value):
    logs[name].write(json.dumps(value) + "\n")


def texts(node):
    """All texts in the examples of a part of the document."""
    if isinstance(node, dict):
        for name, value in node.items():
            if name == "examples":
                yield from (it for it in value if isinstance(it, str))
            else:
                yield from texts(value)
    elif isinstance(node, list):
        for value in node:
            yield from texts(value)


@schemathesis.hook
def before_load_schema(context, raw_schema):
    exceptions.document = raw_schema
    components = raw_schema["components"]
    documented.update(texts(components["parameters"]))
    documented.update(texts({name: it for name, it in components["schemas"].items() if name.endswith("Id")}))


def with_receiver(body):
    """The body with a receiver that responds in the place of the document's."""
    if isinstance(body, list):
        return [with_receiver(it) for it in body]
    if not isinstance(body, dict):
        return body
    return {name: replaced(name, it) for name, it in body.items()}


def replaced(name, value):
    if is_documented_url(name, value):
        return RECEIVER
    # The document's deadline has passed.
    return TOMORROW if name == "deadline" and value == DOCUMENTED_DEADLINE else with_receiver(value)


def is_documented_url(name, value):
    return name in URL_MEMBERS and isinstance(value, str) and value.startswith(DOCUMENTED_URLS)


def printable(value):
    """The value with letters in the place of control characters, which every text refuses."""
    if isinstance(value, str):
        return value.translate(LETTERS)
    if isinstance(value, list):
        return [printable(it) for it in value]
    if isinstance(value, dict):
        return {printable(name): printable(it) for name, it in value.items()}
    return value


def use_ids(case):
    """Puts ids of objects in the place of the document's."""
    for place, name in data.PARAMETERS.get(case.operation.definition.raw.get("operationId"), {}).items():
        location, parameter = place.split(".")
        values = case.path_parameters if location == "path" else case.query
        value = (values or {}).get(parameter)
        if isinstance(value, str) and value in documented:
            values[parameter] = next(ids[name])


def is_valid(case):
    return case.meta is None or not case.meta.generation.mode.is_negative


def change(case, name, changed):
    """Changes the body or the query. After an assignment Schemathesis looks again whether the call is valid."""
    before = getattr(case, name)
    if isinstance(before, dict):
        after = changed(before)
        if after != before:
            setattr(case, name, after)


@schemathesis.hook
def before_call(context, case, kwargs):
    use_ids(case)
    # One key for two bodies is refused, and the document has one example for all bodies.
    if case.headers and case.headers.get("Idempotency-Key") in documented:
        case.headers["Idempotency-Key"] += f"-{next(numbers)}"
    wait = str((case.query or {}).get("wait"))
    if wait.isdecimal() and WAIT_SECONDS_MAX < int(wait) <= DOCUMENTED_WAIT_SECONDS_MAX:
        case.query["wait"] = WAIT_SECONDS_MAX
    change(case, "body", with_receiver)
    if is_valid(case):
        change(case, "query", printable)
        change(case, "body", printable)
        receipt = SEEDS["receipts"].get((case.path_parameters or {}).get("id"))
        if receipt:
            change(case, "body", lambda body: {**body, "receipt": receipt} if "receipt" in body else body)


@schemathesis.hook
def filter_case(context, case):
    """Drops calls that would revoke the key of the fuzzer."""
    return (case.path_parameters or {}).get("id") != SEEDS["own_key_id"]


@schemathesis.hook
def after_call(context, case, response):
    if case.method == case.operation.method.upper():
        log("calls", [case.operation.label, response.status_code])


@schemathesis.hook
def filter_failure(context, failure, case, response):
    reason = exceptions.reason(failure, case, response)
    if reason:
        log("accepted", reason)
        return False
    request = response.request
    shown = {
        "operation": case.operation.label,
        "failure": type(failure).__name__,
        "message": failure.message,
        "call": f"{request.method} {request.url} {request.headers.get('content-type')} {request.body!r}",
        "unexplained": str([it for it in exceptions.errors(response) if not exceptions.rule(case.operation.label, it)]),
        "response": f"{response.status_code} {response.text}",
    }
    log("failures", {name: it[:LOGGED_CHARACTERS_MAX] for name, it in shown.items()})
    return True
