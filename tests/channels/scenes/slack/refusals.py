"""Presses that do not count."""

import concurrent.futures

import person
from fakes import slack as fake
from scenes.slack.workplace import WORDS, plain, workplace
from stack import until

# The example of Slack's documentation.
DOCUMENTED_SECRET, DOCUMENTED_TIME = "8f742231b10e8888abcd99yyyzzz85a5", "1531420618"
DOCUMENTED_BODY = (
    b"token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V"
    b"&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text="
    b"&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN"
    b"&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c"
)
DOCUMENTED_SIGNATURE = "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503"


def scenes(stack):
    yield "Slack: the fake signs as documented", signs_as_documented
    yield "Slack: only the recipient answers", lambda: others(stack)
    yield "Slack: calls that are unsigned, old or replayed change nothing", lambda: refused_calls(stack)
    yield "Slack: two presses at once have one outcome", lambda: at_once(stack)
    yield "Slack: a press before our own record changes nothing", lambda: early(stack)
    yield "Slack: a stale copy says what was decided on the page", lambda: stale(stack)


def signs_as_documented():
    assert fake.signature(DOCUMENTED_SECRET, DOCUMENTED_TIME, DOCUMENTED_BODY) == DOCUMENTED_SIGNATURE


def others(stack):
    with workplace(stack) as it:
        for locale, (_, _, only) in WORDS.items():
            fields = {"locale": locale} if locale else {}
            asked, user = it.ask(f"Deploy by others {locale}?", **fields)
            stack.notified(asked, status="sent", kind="slack")
            message = list(it.slack.messages.values())[-1]
            mallory = it.slack.hire("mallory@example.com")
            _, whispers = it.slack.tap(mallory, message, "Approve")
            assert len(whispers) == 1 and only in plain(whispers[0]), whispers
            foreign = it.slack.press(user, message, "Approve", {"team": {"id": "T0OTHER123", "domain": "other"}})
            assert it.slack.send(foreign) == fake.Response(200, "")
            assert it.slack.whispers[-1][0] == user and only in plain(it.slack.whispers[-1][1].shown())
            # The same button in a copy that somebody made.
            copied = it.slack.press(user, message, "Approve")
            copied["container"]["message_ts"] = "1503435956.000248"
            assert it.slack.send(copied) == fake.Response(200, "")
            for wrong in [{"user": {"id": ""}}, {"team": None}, {"user": {"id": user.lower()}}]:
                assert it.slack.send(it.slack.press(user, message, "Approve", wrong)).status == 200
            it.pending(asked)
            it.slack.tap(user, message, "Reject")
            it.answered(asked, user, "reject")
            it.edited(message)


def refused_calls(stack):
    with workplace(stack) as it, workplace(stack) as other:
        asked, user, message = it.asked("Deploy unsigned?")
        payload = it.slack.press(user, message, "Approve")
        wrong = [
            {"secret": fake.secrets.token_hex(16)}, {"age": 301}, {"age": -310}, {"x-slack-signature": None},
            {"x-slack-request-timestamp": None}, {"x-slack-signature": "v0="}, {"x-slack-signature": "v1=" + "0" * 64},
        ]  # fmt: skip
        for call in wrong:
            assert it.slack.send(payload, **call).status == 401, call
        # The message of one app at the address of another.
        assert other.slack.send(payload).status == 404
        account, mode, message_id, button = payload["actions"][0]["value"].split(".")
        wrong = [["x"], [account, "prod", message_id, button], [account, mode, "dlv_1", button], [account, mode, message_id, "x"]]
        for value in ["", *map(".".join, wrong)]:
            payload["actions"][0]["value"] = value
            assert it.slack.send(payload).status == 404, value
        it.pending(asked)
        assert not it.slack.whispers and not other.slack.whispers, "whispered to a stranger"
        it.slack.tap(user, message, "Approve")
        it.answered(asked, user, "approve")
        it.edited(message)


def at_once(stack):
    with workplace(stack) as it, concurrent.futures.ThreadPoolExecutor() as pool:
        asked, user, message = it.asked("Deploy at once?")
        payloads = [it.slack.press(user, message, label) for label in ["Approve", "Reject"] * 2]
        responses = list(pool.map(it.slack.send, payloads))
        assert all(response == fake.Response(200, "") for response in responses), responses
        decision = it.read(asked)["decision"]
        it.answered(asked, user, decision)
        it.edited(message)
        whispers = [plain(whisper.shown()) for _, whisper in it.slack.whispers]
        assert all(f"“{decision.title()}” by Ada" in whisper for whisper in whispers), whispers
        stack.finished(asked, decision)


def early(stack):
    with workplace(stack) as it:
        pressed = []

        def press(message):
            """Slack shows the message before it answers."""
            [user] = it.slack.users.values()
            pressed.append(it.slack.send(it.slack.press(user, message, "Approve")))

        it.slack.on_post = press
        asked, user, message = it.asked("Deploy early?")
        assert [response.status for response in pressed] in ([200], [404]), pressed
        it.pending(asked)
        it.slack.tap(user, message, "Approve")
        it.answered(asked, user, "approve")
        it.edited(message)


def stale(stack):
    with workplace(stack) as it:
        asked, user, message = it.asked("Deploy by a stale copy?")
        # The buttons stay.
        it.slack.faults["chat.update"] = ["message_not_found"]
        person.answer(asked["recipients"][0]["answer_url"], "reject")
        until("a refused change", lambda: it.slack.of("chat.update"))
        _, whispers = it.slack.tap(user, message, "Approve")
        assert len(whispers) == 1 and "“Reject” by Ada" in plain(whispers[0]), whispers
        [row] = it.read(asked)["responses"]
        assert (row["option"], row["proof"]["method"]) == ("reject", "link"), row
