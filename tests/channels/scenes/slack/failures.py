"""Slack fails, or refuses the app."""

from scenes.faults import LATE_SECONDS, RETRY_SECONDS, is_enabled, is_refused, shown, waits_a_minute
from scenes.slack.workplace import plain, workplace
from stack import until

FAULTS = [(503, {"retry-after": "1"}), (429, {"retry-after": "1"})]


def scenes(stack):
    yield "Slack: chat.update answers 500: a stale press says what was decided", lambda: unchanged(stack)
    for fault in FAULTS:
        for method in ["users.lookupByEmail", "chat.postMessage", "chat.update"]:
            name = f"Slack: {method} answers {shown(fault)}: done in time, once"
            yield name, lambda fault=fault, method=method: throttled(stack, method, fault)
    for fault in [(500, {}), "internal_error"]:
        yield f"Slack: chat.postMessage answers {shown(fault)}: tried again later", lambda it=fault: later(stack, it)
    for fault in ["account_inactive", "invalid_auth", "token_revoked", "missing_scope"]:
        yield f"Slack: {fault}: disabled, and the next way is used", lambda it=fault: uninstalled(stack, it)
    for fault in ["users_not_found", "restricted_action"]:
        yield f"Slack: {fault}: the next way is used", lambda it=fault: next_way(stack, it)


def throttled(stack, method, fault):
    with workplace(stack) as it:
        it.slack.faults[method] = [fault]
        asked, user, message = it.asked(f"Throttled {method} {fault[0]}?")
        it.slack.tap(user, message, "Approve")
        it.answered(asked, user, "approve")
        it.edited(message)
        assert len(it.slack.messages) == 1 and len(it.slack.of(method)) == 2, it.slack.calls


def later(stack, fault):
    with workplace(stack) as it:
        it.slack.faults["chat.postMessage"] = [fault]
        asked, _ = it.ask(f"Later {fault}?", ways=["email"])
        waits_a_minute(stack, asked)
        is_enabled(stack, it.notifier)
        assert len(it.slack.of("chat.postMessage")) == 1 and not stack.mails(asked), it.slack.calls


def slow_scenes(stack):
    yield "Slack: chat.update answers 500: the copy changes a minute later", lambda: changed_later(stack)


def unchanged(stack):
    with workplace(stack) as it:
        answered_unseen(it, "later")


def changed_later(stack):
    with workplace(stack) as it:
        message = answered_unseen(it, "a minute later")
        until("a changed copy", lambda: message.edits, seconds=RETRY_SECONDS[1] + LATE_SECONDS)
        it.edited(message)


def answered_unseen(it, when):
    """An answer, and its message, whose copy Slack does not change yet."""
    it.slack.faults["chat.update"] = [(500, {})]
    asked, user, message = it.asked(f"Deploy, and say so {when}?")
    it.slack.tap(user, message, "Approve")
    it.stack.finished(asked, "approve")
    until("a failed change", lambda: it.slack.of("chat.update"))
    assert message.edits == 0 and message.buttons(), message.blocks
    _, whispers = it.slack.tap(user, message, "Reject")
    assert len(whispers) == 1 and "“Approve” by Ada" in plain(whispers[0]), whispers
    it.answered(asked, user, "approve")
    is_enabled(it.stack, it.notifier)
    return message


def uninstalled(stack, fault):
    with workplace(stack) as it:
        it.slack.faults["users.lookupByEmail"] = [fault] * 9
        asked, _ = it.ask(f"Uninstalled {fault}?", ways=["email"])
        stack.notified(asked, status="delivered", kind="email", attempts=2, error=None)
        is_refused(stack, it.notifier)
        assert len(it.slack.calls) == 1 and len(stack.mails(asked)) == 1, it.slack.calls


def next_way(stack, fault):
    with workplace(stack) as it:
        method = "users.lookupByEmail" if fault == "users_not_found" else "chat.postMessage"
        it.slack.faults[method] = [fault] * 9
        asked, _ = it.ask(f"Not by Slack {fault}?", ways=["email"])
        stack.notified(asked, status="delivered", kind="email", attempts=2, error=None)
        is_enabled(stack, it.notifier)
        assert len(it.slack.of(method)) == 1, it.slack.calls
