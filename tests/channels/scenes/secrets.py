"""No live link, code or secret stands where it does not belong: in tables, logs, attempts, or answers."""

import base64
import json
import re
import sqlite3

# Without `links:read`.
VIEWER = ["requests:read", "webhooks:read", "notifiers:read"]
VIEWED, TOLD = "answers to a key without links:read", "answers about messages"
# The emulated SES keeps what it was told to send.
MAILS = "sent mails"
PAGED, WHOLE = ["/v1/requests", "/v1/deliveries", "/v1/events"], ["/v1/notifiers", "/v1/webhooks"]
# An outsider's part of a base64 text may begin at three places.
BASE64_SHIFTS = range(3)


def check(stack):
    """Checks a stack after all of its scenes, and ends it. Returns what was looked at."""
    assert len(stack.canaries) > len(stack.requests) > 0, "no canaries"
    viewer = stack.call("POST", "/v1/keys", {"scopes": VIEWER})["key"]
    answers = {
        VIEWED: everything(stack, viewer, [*PAGED, *WHOLE, *requests(stack)]),
        TOLD: everything(stack, None, [*PAGED[1:], *WHOLE, *notifications(stack)]),
    }
    shown = everything(stack, None, requests(stack))
    stack.stop()
    places = {
        **answers,
        "stdout": (stack.folder / "stdout.log").read_bytes(),
        "stderr": (stack.folder / "stderr.log").read_bytes(),
        "tables": tables(stack.data),
        "files": b"\n".join(it.read_bytes() for it in other_files(stack.data)),
    }
    # What is looked at is what was meant: each request left traces, and the links are found where they are shown.
    for name in [VIEWED, "tables"]:
        missing = [it for it in stack.requests if it.split("_")[1].encode() not in places[name]]
        assert not missing, f"{name}: no trace of {missing}"
    for name, trace in [(TOLD, b'"ntf_'), ("stderr", b"attempted a delivery")]:
        assert places[name].count(trace) >= len(stack.requests), f"{name}: too little"
    assert len(found_in(shown, stack.canaries)) >= len(stack.requests), "this check finds nothing"
    for name, text in places.items():
        found = found_in(text, stack.canaries)
        assert not found, f"{name}: {len(found)} secrets, such as {found[0]}"
    return f"{len(stack.canaries)} canaries, {sum(map(len, places.values())):,} bytes"


def requests(stack):
    return [f"/v1/requests/{it}" for it in stack.requests] + notifications(stack)


def notifications(stack):
    return [f"/v1/requests/{it}/notifications" for it in stack.requests]


def everything(stack, key, paths):
    """The text of all these answers, and of all attempts. Those of messages are in the tables only."""
    found = []
    for path in paths:
        if path in WHOLE:
            found += stack.call("GET", path, key=key)["data"]
        elif path in PAGED or path.endswith("/notifications"):
            found += stack.pages(path, key)
        else:
            found.append(stack.call("GET", path, key=key))
    deliveries = [it["id"] for it in found if it.get("id", "").startswith("dlv_")]
    for delivery in deliveries:
        found += stack.pages(f"/v1/attempts?delivery_id={delivery}", key)
    return json.dumps(found, ensure_ascii=False).encode()


def tables(folder):
    """All rows of the stack's database, but for the mails that were sent."""
    found = []
    for file in databases(folder):
        with sqlite3.connect(f"file:{file}?mode=ro", uri=True) as database:
            database.text_factory = bytes
            names = [it[0].decode() for it in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
            assert MAILS in names, names
            for name in names:
                if name != MAILS:
                    found += (cell for row in database.execute(f'SELECT * FROM "{name}"') for cell in row)
    return b"\n".join(it if isinstance(it, bytes) else str(it).encode() for it in found)


def databases(folder):
    found = [it for it in folder.rglob("*") if it.is_file() and it.read_bytes().startswith(b"SQLite format 3")]
    assert found, f"no database in {list(folder.iterdir())}"
    return found


def other_files(folder):
    prefixes = tuple(str(it) for it in databases(folder))
    return [it for it in folder.rglob("*") if it.is_file() and not str(it).startswith(prefixes)]


def found_in(text, canaries):
    return [canary for canary in canaries if any(it.search(text) for it in spellings(canary))]


def spellings(canary):
    """The texts that would give a secret away."""
    plain = canary.encode()
    if plain.isdigit():
        # Six digits are part of many a number.
        return [re.compile(rb"(?<![0-9A-Za-z.])" + plain + rb"(?![0-9A-Za-z])")]
    texts = [plain, plain.upper(), plain.hex().encode(), plain.replace(b":", b"%3A").replace(b"/", b"%2F")]
    for shift in BASE64_SHIFTS:
        encoded = base64.b64encode(bytes(shift) + plain)
        # Without what its neighbors decide about.
        texts.append(encoded[0 if shift == 0 else 4 : len(encoded) - 4])
    return [re.compile(re.escape(it)) for it in texts]
