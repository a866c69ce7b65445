"""The official clients: they ask, wait, and get the answers of a scripted person."""

import concurrent.futures
import json
import os
import re
import shutil
import subprocess
from pathlib import Path

from proxy import Proxy
from stack import Person, Stack

HERE = Path(__file__).resolve().parent.parent / "clients"
TOOLS = ["ask_human", "request_approval", "check_request", "cancel_request", "list_requests"]
# A client waits for one late answer, which takes 22 seconds.
SECONDS = 90
ADDRESS = re.compile(r"https?://|/a/")
# Members of the API's requests that lead to an answer.
LEADS = {"answer_url", "code", "codes", "token", "inbox_url"}
# Codes of problems are words.
WORDS = re.compile(r"[a-z_]+")


def typescript(checks, program, work):
    play(checks, program, work, "typescript", typescripts(work))


def python(checks, program, work):
    play(checks, program, work, "python", pythons(work))


def stdio(checks, program, work):
    known = subprocess.run([program, "mcp", "--help"], capture_output=True)
    if known.returncode != 0:
        checks.say("skipped  stdio: this answerback has no command `mcp`")
        return
    play(checks, program, work, "stdio", {**typescripts(work), **pythons(work)}, is_stdio=True)


def typescripts(work):
    """The commands of clients in TypeScript, by their names."""
    # Next to the packages that they import.
    for name in ["script.mjs", "typescript.mjs"]:
        shutil.copy(HERE / name, work)
    return {
        f"typescript-{version}": ["node", work / "typescript.mjs", version]
        for version in ["2026-07-28", "2025-11-25", "2025-06-18"]
    }


def pythons(work):
    """The commands of clients in Python, by their names."""
    modern, legacy = work / "modern" / "bin" / "python", work / "legacy" / "bin" / "python"
    return {
        "python-2026-07-28": [modern, HERE / "modern.py", "2026-07-28"],
        "python-handshake": [modern, HERE / "modern.py", "2025-11-25"],
        "python-2025-11-25": [legacy, HERE / "legacy.py", "2025-11-25"],
        "python-2025-06-18": [legacy, HERE / "legacy.py", "2025-06-18"],
    }


def play(checks, program, work, part, commands, is_stdio=False):
    stack = Stack(program, work / part)
    person, proxy = Person(stack), Proxy(stack.base)
    environment = {**os.environ, "MCP_URL": f"{proxy.url}/mcp"}
    if is_stdio:
        environment |= {"MCP_COMMAND": json.dumps([str(program), "mcp"]), "ANSWERBACK_URL": proxy.url}

    def start(name):
        key = stack.agent_key()
        its = {**environment, "NAME": name, "AGENT_KEY": key, "ANSWERBACK_API_KEY": key}
        return subprocess.run(
            commands[name], cwd=work, env=its, capture_output=True, text=True, timeout=SECONDS
        )  # fmt: skip

    try:
        with concurrent.futures.ThreadPoolExecutor(len(commands)) as pool:
            done = dict(zip(commands, pool.map(start, commands)))
    finally:
        person.stop()
        proxy.stop()
        stack.stop()
    for name, it in done.items():
        if checks.that(f"{name} runs to its end", it.returncode == 0, it.stderr[-600:]):
            client(checks, name, json.loads(it.stdout))
    checks.equal("the person could answer", person.errors, [])
    # The mail about a question that is cancelled may not be sent.
    checks.that("the person got links", len(person.tokens) >= 4 * len(commands), len(person.tokens))
    shown = [*proxy.bodies, *(it.stdout for it in done.values())]
    found = [it for body in shown for it in leaks(body, person.tokens)]
    checks.that(f"no link and no code in {len(shown)} raw results", not found and len(shown) > 20, found[:3])


def client(checks, name, got):
    """Checks what a client got."""
    wanted = got["version"] if name.endswith("handshake") else name.split("-", 1)[1]
    checks.equal(f"{name} agrees on {wanted}", got["version"], wanted)
    checks.equal(f"{name} lists the tools", got["tools"], TOOLS)

    def values(result, *members):
        content = got[result]["structuredContent"]
        return [content.get(it) for it in members]

    end = ("status", "outcome", "decision", "decided_by")
    checks.equal(f"{name} gets `pending` after a hold", values("asked", *end), ["pending", None, None, None])
    [hint, seconds] = values("asked", "next_action", "retry_after_seconds")
    checks.that(f"{name} reads what to do next", "check_request" in hint and seconds > 0, [hint, seconds])
    checks.equal(
        f"{name} gets the late answer by check_request", values("checked", *end),
        ["finished", "completed", "yes", "recipients"],
    )  # fmt: skip
    [answers] = values("written", "answers")
    checks.equal(f"{name} gets a written answer", [it["fields"] for it in answers], [{"answer": "Blue."}])
    checks.equal(f"{name} gets a no", values("rejected", "approved", "decision"), [False, "reject"])
    checks.equal(f"{name} gets a yes", values("approved", "approved", "decision"), [True, "approve"])
    checks.equal(f"{name} cancels", values("cancelled", "status"), ["cancelled"])
    checks.equal(f"{name} ends the hold of what it cancels", values("dropped", "status"), ["cancelled"])
    checks.equal(f"{name} reads what was wrong", got["wrong"].get("isError"), True)


def leaks(text, tokens):
    """Links and codes in a text, which may be JSON."""
    found = [it for it in tokens if it in text]
    try:
        value = json.loads(text)
    except ValueError:
        value = text
    return found + list(walk(value))


def walk(value):
    if isinstance(value, dict):
        for name, inner in value.items():
            if name in LEADS and isinstance(inner, str) and not WORDS.fullmatch(inner):
                yield f"{name}: {inner}"
            yield from walk(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from walk(inner)
    elif isinstance(value, str) and ADDRESS.search(value):
        yield value
