"""Presses that count, and what people see before and after."""

import json
import time
import urllib.parse

import person
from fakes import blocks as kit
from fakes import slack as fake
from scenes.slack.workplace import WORDS, plain, workplace
from stack import until

# From the press to the copy without buttons.
COPY_SECONDS = 3


def scenes(stack):
    yield "Slack: from a disabled notifier to a test message", lambda: set_up(stack)
    for locale in WORDS:
        name = f"Slack: a press answers, and the copy says so, in {locale or 'no language'}"
        yield name, lambda it=locale: first_tap(stack, it)
    yield "Slack: under `code`, a dialog and no code", lambda: with_dialog(stack)
    yield "Slack: several people decide, and all copies say so", lambda: several(stack)
    yield "Slack: a cancelled and an erased question leave no button", lambda: ended(stack)
    yield "Slack: an answer on the page changes all copies", lambda: reminded(stack)
    yield "Slack: a message in a channel has no link, and whispers it", lambda: in_channel(stack)
    yield "Slack: a long action is reviewed on the page", lambda: long_action(stack)


def set_up(stack):
    """As docs/slack.md says: the manifest needs a notifier, and the notifier the secrets of the app."""
    workspace = fake.Workspace()
    email = f"tester.{workspace.server_port}@example.com"
    workspace.hire(email)
    port = workspace.server_port
    settings = workspace.settings(bot_token=f"later-{port}", signing_secret=f"secret-{port}", team_id="T0")
    with stack.notifier("slack", settings, enabled=False) as notifier:
        manifest = stack.call("GET", f"/v1/notifiers/{notifier}/slack-manifest")
        interactivity = manifest["settings"]["interactivity"]
        assert interactivity["is_enabled"] is True, manifest
        path = urllib.parse.urlsplit(interactivity["request_url"]).path
        assert path == f"/v1/slack/{notifier}", manifest
        scopes = manifest["oauth_config"]["scopes"]["bot"]
        assert scopes == ["chat:write", "im:write", "users:read", "users:read.email"], manifest
        assert len(manifest["display_information"]["name"]) <= 35, manifest
        real = {name: it for name, it in workspace.settings().items() if name != "api_url"}
        stack.canaries.update([real["bot_token"], real["signing_secret"]])
        changed = stack.call("PATCH", f"/v1/notifiers/{notifier}", {"enabled": True, "settings": real})
        shown = {**workspace.settings(), "bot_token": "***", "signing_secret": "***", "default_channel": None}
        assert (changed["enabled"], changed["settings"]) == (True, shown), changed
        _, status = tested(stack, notifier, email)
        assert status == "delivered", status
        attempt, status = tested(stack, notifier, "nobody@example.com")
        assert status == "failed", status
        assert "users_not_found" in attempt["error"]["message"], attempt
        assert stack.call("GET", f"/v1/notifiers/{notifier}")["enabled"], "a test disables nothing"
    [message] = workspace.messages.values()
    assert "Test message from Answerback" in message.shown() and not message.buttons(), message.text
    assert not workspace.problems, workspace.problems


def tested(stack, notifier, email):
    """The attempt and the status of a test message."""
    test = stack.call("POST", f"/v1/notifiers/{notifier}/test", {"to": email}, status=202)
    path = f"/v1/deliveries/{test['id']}"
    done = until("the end of a test", lambda: (it := stack.call("GET", path))["finished_at"] and it)
    [attempt] = stack.pages(f"/v1/attempts?delivery_id={test['id']}")
    return attempt, done["status"]


def first_tap(stack, locale):
    chosen, opens, _ = WORDS[locale]
    with workplace(stack) as it:
        fields = {"locale": locale} if locale else {}
        asked, user, message = it.asked(f"Deploy by Slack {locale}?", **fields)
        link = asked["recipients"][0]["answer_url"]
        assert [live.target for live in message.live()] == [link], message.live()
        assert opens in message.live()[0].shown and asked["title"] in message.shown(), message.blocks
        assert list(message.buttons()) == ["Approve", "Reject"], message.buttons()
        began = time.monotonic()
        payload, whispers = it.slack.tap(user, message, "Approve")
        it.edited(message)
        seconds = time.monotonic() - began
        assert seconds < COPY_SECONDS, f"the copy changed after {seconds:.1f} s"
        assert chosen in plain(message.shown()) and asked["title"] in message.shown() and not whispers, message.blocks
        it.answered(asked, user, "approve")
        stack.finished(asked, "approve")
        # Slack repeats a call that it believes lost.
        assert it.slack.send(payload) == fake.Response(200, ""), payload
        assert len(it.slack.of("chat.postMessage")) == 1 and message.edits == 1, it.slack.calls
    return f"the copy changed after {seconds:.1f} s"


def with_dialog(stack):
    with workplace(stack) as it:
        asked, user, message = it.asked("Deploy with a code?", assurance="code")
        assert all("Approve" in kit.shown(button["confirm"]) or "Reject" in kit.shown(button["confirm"])
                   for button in message.buttons().values()), message.blocks  # fmt: skip
        it.slack.tap(user, message, "Reject")
        it.answered(asked, user, "reject")
        it.edited(message)


def several(stack):
    """Many people with long names: what a copy says is cut to what Slack takes."""
    names = [f"{'Ada & ' * 6}{index}" for index in range(25)]
    with workplace(stack) as it:
        emails = [f"ada{index}.{it.slack.server_port}@example.com" for index in range(len(names))]
        users = [it.slack.hire(email) for email in emails]
        to = [{"email": email, "name": name} for email, name in zip(emails, names)]
        asked = stack.ask("Deploy by many?", [it.notifier], recipients=to)
        pages = f"/v1/requests/{asked['id']}/notifications"
        until("messages to all", lambda: [row["status"] for row in stack.pages(pages)] == ["sent"] * len(names))
        by_user = {message.channel[1:]: message for message in it.slack.messages.values()}
        messages = [by_user[user[1:]] for user in users]
        for user, message in zip(users[:-1], messages):
            it.slack.tap(user, message, "Approve")
        it.pending(asked)
        # Each sees their own answer, and those of others only with the decision.
        until("changed copies", lambda: all(message.edits == 1 for message in messages[:-1]))
        first = plain(messages[0].shown())
        assert names[0] in first and names[1] not in first, first
        it.slack.tap(users[-1], messages[-1], "Approve")
        until("changed copies", lambda: all(len(plain(m.shown()).split("“Approve” by")) > 5 for m in messages))
        assert it.read(asked)["decision"] == "approve"
        assert not any(message.buttons() or message.live() for message in messages), messages[0].blocks


def ended(stack):
    with workplace(stack) as it:
        asked, user, message = it.asked("Deploy, or cancel?")
        payload = it.slack.press(user, message, "Approve")
        stack.call("POST", f"/v1/requests/{asked['id']}/cancel", {})
        it.edited(message)
        assert "withdrawn" in message.shown(), message.blocks
        assert it.slack.send(payload) == fake.Response(200, "")
        assert "withdrawn" in it.slack.whispers[-1][1].shown(), it.slack.whispers
        stack.call("DELETE", f"/v1/requests/{asked['id']}")
        stack.requests.remove(asked["id"])
        it.edited(message, 2)
        assert message.shown() == "This question was deleted." and message.text == message.shown(), message.blocks
        assert it.slack.send(payload).status in (200, 404)


def reminded(stack):
    """A reminder is a second copy."""
    with workplace(stack) as it:
        asked, _, first = it.asked("Deploy, once more?")
        stack.call("POST", f"/v1/requests/{asked['id']}/remind")
        pages = f"/v1/requests/{asked['id']}/notifications"
        until("two messages", lambda: [row["status"] for row in stack.pages(pages)] == ["sent"] * 2)
        assert len(it.slack.messages) == 2 and all(len(each.buttons()) == 2 for each in it.slack.messages.values())
        person.answer(asked["recipients"][0]["answer_url"], "reject")
        for message in it.slack.messages.values():
            it.edited(message)
            assert "“Reject” by Ada" in plain(message.shown()), message.blocks
        stack.finished(asked, "reject")


def in_channel(stack):
    with workplace(stack, default_channel="C0GENERAL1") as it:
        asked, user, message = it.asked("Deploy in a channel?", assurance="code")
        link, code = asked["recipients"][0]["answer_url"], asked["recipients"][0]["code"]
        assert message.channel == "C0GENERAL1" and not message.live(), message.blocks
        posted = json.dumps(it.slack.of("chat.postMessage")[0].arguments)
        assert "/a/" not in posted and code not in message.shown(), "a link or code that all read"
        assert "Ada" in message.shown(), "who is asked"
        assert list(message.buttons()) == ["Approve", "Reject", "Open to answer"], message.buttons()
        mallory = it.slack.hire("mallory@example.com")
        for label in message.buttons():
            _, whispers = it.slack.tap(mallory, message, label)
            assert len(whispers) == 1 and "Only Ada can" in plain(whispers[0]), whispers
        it.pending(asked)
        early, whispers = it.slack.tap(user, message, "Open to answer")
        to, whisper = it.slack.whispers[-1]
        assert to == user and [live.target for live in whisper.live()] == [link] and code in whisper.shown(), whispers
        it.pending(asked)
        it.slack.tap(user, message, "Approve")
        it.answered(asked, user, "approve")
        it.edited(message)
        assert "/a/" not in json.dumps(it.slack.of("chat.update")[0].arguments), "a link that all read"
        # A press of a message that is over shows no link.
        assert it.slack.send(early) == fake.Response(200, "")
        assert not it.slack.whispers[-1][1].live(), it.slack.whispers[-1]


def long_action(stack):
    note = "x" * 2_600
    with workplace(stack) as it:
        action = {"name": "deploy", "args": {"note": note}}
        asked, user, message = it.asked("A long action?", action=action, assurance="confirm")
        assert not message.buttons() and note[:100] not in message.shown(), message.buttons()
        [link] = message.live()
        assert link == kit.Live(asked["recipients"][0]["answer_url"], "Open to review"), link
        person.answer(link.target, "approve")
        stack.finished(asked, "approve")
        it.edited(message)
    with workplace(stack, default_channel="C0GENERAL1") as it:
        asked, user, message = it.asked("A long action in a channel?", action=action)
        assert list(message.buttons()) == ["Open to review"] and not message.live(), message.buttons()
        it.slack.tap(user, message, "Open to review")
        [(to, whisper)] = it.slack.whispers
        assert (to, whisper.live()[0].target) == (user, asked["recipients"][0]["answer_url"]), whisper.text
