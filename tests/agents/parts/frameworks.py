"""Frameworks for agents, as far as they go without a model."""

import concurrent.futures
import json
import os
import subprocess
from pathlib import Path

from parts.clients import TOOLS, leaks
from stack import Person, Stack

HERE = Path(__file__).resolve().parent.parent / "clients"
# By its program, the environment of each.
FRAMEWORKS = {"langgraph_agent": "legacy", "openai_agent": "modern", "fastmcp_client": "modern"}
DECISIONS = {"approves": (True, "approve"), "rejects": (False, "reject")}
SECONDS = 120


def run(checks, program, work):
    stack = Stack(program, work / "frameworks")
    person = Person(stack)

    def start(name, decision):
        environment = {
            **os.environ,
            "BASE_URL": stack.base,
            "KEY": stack.agent_key(),
            "PERSON": f"{decision}.{name}@example.com",
            "LANGSMITH_TRACING": "false",
        }
        command = [work / FRAMEWORKS[name] / "bin" / "python", HERE / f"{name}.py"]
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=SECONDS)

    runs = [(name, decision) for name in FRAMEWORKS for decision in DECISIONS]
    try:
        with concurrent.futures.ThreadPoolExecutor(len(runs)) as pool:
            results = list(pool.map(lambda it: start(*it), runs))
    finally:
        person.stop()
        stack.stop()
    for (name, decision), it in zip(runs, results):
        if not checks.that(f"{name} runs to its end ({decision})", it.returncode == 0, it.stderr[-900:]):
            continue
        got = json.loads(it.stdout)
        seen = (got["result"]["approved"], got["result"]["decision"])
        checks.equal(f"{name} loads the tools ({decision})", got["tools"], TOOLS)
        checks.equal(f"{name} gets the decision ({decision})", seen, DECISIONS[decision])
        found = leaks(it.stdout, person.tokens)
        checks.that(f"{name} gets no link and no code ({decision})", person.tokens and not found, found)
