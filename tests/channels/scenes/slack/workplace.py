"""A workspace, and a stack that asks people there."""

import contextlib

from fakes import blocks as kit
from fakes import slack as fake
from stack import until

WORDS = {
    None: ("“Approve” by Ada", "Open to answer", "Only Ada can answer this message"),
    "de": ("„Approve“ von Ada", "Öffnen und antworten", "kann nur Ada antworten"),
    "es": ("«Approve» por Ada", "Abrir", "Solo Ada puede responder"),
}


class Workplace:
    """A workspace, and a stack that asks Ada there."""

    def __init__(self, stack, workspace, notifier):
        self.stack, self.slack, self.notifier = stack, workspace, notifier

    def ask(self, title, ways=(), email=None, name="Ada", **fields):
        """Asks Ada. Returns the request and her user."""
        email = email or f"ada.{self.slack.server_port}@example.com"
        user = self.slack.hire(email)
        to = {"email": email, "name": name, "via": [self.notifier, *ways]}
        return self.stack.ask(title, [self.notifier], recipients=[to], **fields), user

    def asked(self, title, **fields):
        """Asks Ada, and returns the request, her user and the message as well."""
        asked, user = self.ask(title, **fields)
        return asked, user, self.message(asked)

    def message(self, asked):
        """The only message, once it is recorded that it was sent."""
        seen = until("an end of the message", lambda: self.ended(asked))
        assert (seen["status"], seen["kind"], seen["error"]) == ("sent", "slack", None), seen
        [message] = self.slack.messages.values()
        return message

    def ended(self, asked):
        """The notification, once it waits for no attempt."""
        seen = self.stack.notification(asked)
        return seen and seen["status"] != "queued" and seen

    def read(self, asked):
        return self.stack.call("GET", f"/v1/requests/{asked['id']}")

    def answered(self, asked, user, option):
        """Checks who answered what."""
        seen = self.read(asked)
        [row] = seen["responses"]
        proof = {"method": "slack", "identity": f"slack:{self.slack.team}/{user}"}
        got = (seen["status"], seen["decision"], row["option"], row["proof"])
        assert got == ("finished", option, option, proof), seen
        return row

    def pending(self, asked):
        seen = self.read(asked)
        assert (seen["status"], seen["decision"]) == ("pending", None), seen

    def edited(self, message, edits=1):
        until("a changed copy", lambda: message.edits == edits)
        assert not message.buttons() and not message.live(), message.blocks


@contextlib.contextmanager
def workplace(stack, **settings):
    workspace = fake.Workspace()
    with stack.notifier("slack", workspace.settings(**settings)) as notifier:
        workspace.request_url = f"{stack.base}/v1/slack/{notifier}"
        try:
            yield Workplace(stack, workspace, notifier)
        finally:
            # It explains all else.
            assert not workspace.problems, workspace.problems
        # All that a press could be used for is over.
        stack.canaries.update(it.rsplit("/", 1)[1] for it in workspace.response_urls)


def plain(text):
    """Without the marks that keep names apart."""
    return kit.spelled(text).replace("\u2068", "").replace("\u2069", "").replace("\u2060", "")
