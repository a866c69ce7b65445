"""The official suites for servers."""

import json
import shutil
import subprocess
from pathlib import Path

from proxy import Proxy
from stack import Person, Stack

HERE = Path(__file__).resolve().parent.parent / "conformance"
REVISIONS = {"2025-11-25": 30, "2026-07-28": 60}
# Scenarios of the extension for tasks.
TASKS = [
    "tasks-lifecycle",
    "tasks-capability-negotiation",
    "tasks-wire-fields",
    "tasks-request-state-removal",
    "tasks-request-headers",
    "tasks-dispatch-and-envelope",
]
# A suite takes seconds.
SECONDS = 120


def run(checks, program, work):
    stack = Stack(program, work / "conformance")
    person = Person(stack)
    # The suite sends no key.
    proxy, tasks = Proxy(stack.base, stack.agent), Proxy(stack.base, stack.agent_key(), translated)
    try:
        for revision, n in REVISIONS.items():
            suite(checks, work, f"{proxy.url}/mcp", revision, ["--requirements", revision], n)
        for scenario in TASKS:
            suite(checks, work, f"{tasks.url}/mcp", "tasks", ["--scenario", scenario], 3)
    finally:
        person.stop()
        proxy.stop()
        tasks.stop()
        stack.stop()


def translated(headers, body):
    """The scenarios for tasks call tools of the suite's example server. Two of ours are like two of these."""
    message = json.loads(body or b"{}")
    parameters = message.get("params", {})
    if message.get("method") != "tools/call":
        return headers, body
    theirs, arguments = parameters["name"], parameters.get("arguments", {})
    if theirs == "slow_compute":
        person = f"after-{arguments['seconds']}@example.com"
        ours = "ask_human"
        # Equal questions are one.
        question = f"{arguments.get('label')} {message['id']}?"
        parameters["arguments"] = {"question": question, "options": ["yes", "no"], "to": [person]}
    elif theirs == "greet":
        ours, parameters["arguments"] = "list_requests", {}
    else:
        return headers, body
    parameters["name"] = ours
    is_name = {name: name.lower() == "mcp-name" and value == theirs for name, value in headers.items()}
    return {name: ours if is_name[name] else value for name, value in headers.items()}, json.dumps(message).encode()


def suite(checks, work, url, name, options, n_wanted):
    """Runs scenarios, of which so many checks must pass."""
    title = options[-1]
    results = work / "conformance" / title
    shutil.rmtree(results, ignore_errors=True)
    command = [
        "node", "--import", HERE / "shim.mjs",
        work / "node_modules" / "@modelcontextprotocol" / "conformance" / "dist" / "index.js",
        "server", "--url", url, *options, "--expected-failures", HERE / f"{name}.yaml",
        "--output-dir", results,
    ]  # fmt: skip
    done = subprocess.run(command, cwd=work, capture_output=True, text=True, timeout=SECONDS)
    # Extensions are not part of the verdict, and neither is what the suite cannot pass itself.
    unexpected = [it.strip() for it in done.stdout.splitlines() if it.startswith("  ✗")]
    checks.that(f"{title} passes", done.returncode == 0, [*unexpected, done.stderr[-300:]])
    all_checks = [it for file in results.rglob("checks.json") for it in json.loads(file.read_text())]
    n_passed = sum(it["status"] == "SUCCESS" for it in all_checks)
    checks.that(f"{title} has {n_passed} checks that pass, {n_wanted} or more", n_passed >= n_wanted)
