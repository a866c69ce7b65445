"""The first question of a newcomer: asked on the command line, read in the outbox, answered on the page."""

import os
import subprocess
import time

import person
from stack import SECONDS, until

ASK = [
    "ask", "Deploy?", "--to", "me@example.com", "--option", "approve:Approve", "--option", "reject:Reject", "--wait",
]  # fmt: skip
# The bar is two minutes, and the newcomer reads, too.
SECONDS_MAX = 60


def scenes(stack):
    yield "newcomer: approves, and the command exits with 0", lambda: first_question(stack, "approve", 0)
    yield "newcomer: rejects, and the command exits with another code", lambda: first_question(stack, "reject", None)


def first_question(stack, option, code):
    began = time.monotonic()
    to = f"me+{option}@example.com"
    command = [stack.program, *(to if it == "me@example.com" else it for it in ASK)]
    # The command finds the stack of its folder by itself.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ANSWERBACK")}
    environment |= {"HOME": str(stack.folder), "XDG_CONFIG_HOME": str(stack.folder)}
    process = subprocess.Popen(
        command, cwd=stack.folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        outbox = f"{stack.ready['outbox_url']}?to={to.replace('+', '%2B')}"
        [mail] = until("a mail in the outbox", lambda: stack.call("GET", outbox)["data"])
        assert mail["subject"] == "Deploy?", mail
        [link] = [it for it in mail["links"] if it.endswith(f"?option={option}")]
        person.answer(link, option)
        output, errors = process.communicate(timeout=SECONDS)
    finally:
        process.kill()
    assert output.strip() == option, (output, errors)
    assert process.returncode == code if code is not None else process.returncode > 0, (process.returncode, errors)
    assert time.monotonic() - began < SECONDS_MAX, "a newcomer would have waited for longer"
