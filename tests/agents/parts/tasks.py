"""A client that takes tasks is killed. Another process gets the answer."""

import json
import os
import signal
import subprocess
import time
from pathlib import Path

from parts.clients import leaks
from proxy import Proxy
from stack import Person, Rpc, Stack

CLIENT = Path(__file__).resolve().parent.parent / "clients" / "task.py"
EXTENSION = "io.modelcontextprotocol/tasks"
LIFE_SECONDS = 5
SECONDS = 60


def run(checks, program, work):
    stack = Stack(program, work / "tasks")
    person, proxy = Person(stack), Proxy(stack.base)
    environment = {**os.environ, "AGENT_KEY": stack.agent, "MCP_URL": f"{proxy.url}/mcp"}
    python = work / "modern" / "bin" / "python"
    try:
        killed(checks, [python, CLIENT], environment)
        silence(checks, stack)
    finally:
        person.stop()
        proxy.stop()
        stack.stop()
    checks.equal("the person could answer", person.errors, [])
    found = [it for body in proxy.bodies for it in leaks(body, person.tokens)]
    checks.that("no link and no code in a raw result", person.tokens and not found, found)


def killed(checks, client, environment):
    began = time.monotonic()
    with subprocess.Popen([*client, "ask"], env=environment, stdout=subprocess.PIPE, text=True) as first:
        line = first.stdout.readline()
        seconds = time.monotonic() - began
        if not checks.that("a client that takes tasks gets one", line.startswith("{"), line):
            return
        task = json.loads(line)
        checks.that(f"it gets it at once ({seconds:.1f} s, with its start)", seconds < 10, seconds)
        checks.equal("the task is `working`", (task["resultType"], task["status"]), ("task", "working"))
        # The person answers 8 seconds after the mail.
        time.sleep(LIFE_SECONDS)
        checks.equal("the client waits when it is killed", first.poll(), None)
        first.send_signal(signal.SIGKILL)
        checks.equal("the client had no answer", first.stdout.read(), "")
    done = subprocess.run(
        [*client, "get", task["taskId"]], env=environment, capture_output=True, text=True, timeout=SECONDS
    )
    if not checks.that("another process gets the task by its id", done.returncode == 0, done.stderr[-600:]):
        return
    got = json.loads(done.stdout)
    content = got["result"]["structuredContent"]
    seen = (got["status"], content["request_id"], content["outcome"], content["decision"])
    checks.equal("another process gets the answer", seen, ("completed", task["taskId"], "completed", "yes"))


def silence(checks, stack):
    """Nobody answers an approval in time."""
    action = {"action": {"name": "drop", "args": {}}, "reason": "It is old.", "to": ["silent@example.com"]}
    arguments = {"name": "request_approval", "arguments": {**action, "deadline_seconds": 5}}
    made, seconds = Rpc.call(stack, "tools/call", arguments, [EXTENSION])
    task = made["result"]
    checks.that(f"a task comes at once ({seconds:.2f} s)", seconds < 2 and task["resultType"] == "task", made)
    while task["status"] == "working":
        time.sleep(0.5)
        task = Rpc.call(stack, "tasks/get", {"taskId": task["taskId"]}, [EXTENSION])[0]["result"]
    content = task["result"]["structuredContent"]
    seen = (task["status"], content["outcome"], content["approved"])
    checks.equal("silence is a task that is completed, and no consent", seen, ("completed", "timed_out", False))
    answer, _ = Rpc.call(stack, "tasks/get", {"taskId": "req_0"}, [EXTENSION])
    checks.equal("a task that does not exist is not found", answer["error"]["message"], "task not found")
