"""The list of exceptions accepts what it names, and nothing else."""

import json
import sys
from pathlib import Path
from types import SimpleNamespace

import exceptions

CURSOR = {"parameter": "cursor", "detail": "must be the `next_cursor` of a page"}
UNKNOWN = {"parameter": "limit", "detail": "must be a whole number from 1 to 100"}
BUTTON = {"type": "button", "label": "Approve"}


def is_accepted(failure, operation, status, response=None, body=None):
    case = SimpleNamespace(operation=SimpleNamespace(label=operation), body=body)
    text = response if isinstance(response, str) else json.dumps(response)
    return bool(exceptions.reason(type(failure, (), {})(), case, SimpleNamespace(status_code=status, text=text)))


def check_refusals():
    def refused(operation, *errors, failure="RejectedPositiveData"):
        return is_accepted(failure, operation, 422, {"detail": "…", "errors": errors})

    assert refused("GET /v1/requests", CURSOR)
    assert not refused("GET /v1/requests", CURSOR, UNKNOWN), "another error passed with a known one"
    assert not refused("GET /v1/requests"), "a refusal without errors passed"
    assert not refused("POST /v1/requests", CURSOR), "a rule passed at another operation"
    assert not refused("GET /v1/requests", {**CURSOR, "parameter": "limit"}), "a rule passed at another place"
    for failure in "ServerError", "UndefinedStatusCode", "JsonSchemaError", "IgnoredAuth", "UseAfterFree":
        assert not refused("GET /v1/requests", CURSOR, failure=failure), f"{failure} passed"


def check_fronts():
    def refused(operation, **body):
        return is_accepted("RejectedPositiveData", operation, 400, body)

    duplicated = "`/user_emails/1` is duplicated"
    assert refused("POST /api/notify", details=duplicated)
    assert refused("POST /api/notify", details=f"{duplicated}; `/user_emails/2` is duplicated")
    assert not refused("POST /api/notify", details=f"{duplicated}; `/message` is required")
    assert refused("POST /v1/send/{token}", error="`/actions/0/value` is required")
    assert not refused("POST /v1/send/{token}", error="`/title` is required")


def check_forms():
    def refused(**form):
        return is_accepted("RejectedPositiveData", "POST /a/{token}", 422, "<!doctype html>", form)

    def accepted(status, **form):
        return is_accepted("AcceptedNegativeData", "POST /a/{token}", status, "", form)

    assert is_accepted("RejectedPositiveData", "HEAD /a/{token}", 410, "")
    assert not is_accepted("RejectedPositiveData", "GET /v1/requests/{id}", 410, "")
    assert refused(option="later")
    assert refused(option="approve", **{"field.other": "x"})
    assert not refused(option="approve", **{"field.comment": "x"}), "a page refused an answer that fits"
    assert accepted(303, option="", new_code="")
    assert not accepted(303, option="")
    assert not accepted(200, option="", new_code="")


def check_messages():
    def accepted(action):
        return is_accepted(
            "AcceptedNegativeData", "POST /v1/send/{token}", 200, {}, {"title": "Deploy?", "actions": [action]}
        )

    exceptions.document = json.loads(Path(sys.argv[1]).read_text())
    assert accepted({**BUTTON, "max_length": 0})
    assert not accepted({**BUTTON, "label": ""}), "a member of the action's own type passed"
    assert not accepted({**BUTTON, "type": "text", "key": "a", "max_length": 0})
    assert not accepted({**BUTTON, "type": "other"})


def main():
    check_refusals()
    check_fronts()
    check_forms()
    check_messages()


if __name__ == "__main__":
    main()
