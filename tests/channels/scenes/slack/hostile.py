"""Texts of others in Slack: they must stay texts, and fit, wherever they are shown."""

import json

from fakes import blocks as kit
from fakes import slack as fake
from scenes.slack.workplace import workplace

TEXTS = [
    "<!channel> <!here> <@U0USER000> <#C0GENERAL1>", "<https://evil.example|Approve>", "https://evil.example/a @here",
    "@channel #general @everyone", "*bold* _slanted_ ~struck~ `code` ```block```", "&lt;!channel&gt; &amp;lt; &",
    ">quote", "\u202eevorppa \u2066x", ":tada: <!date^1^{date}^https://evil.example|now>",
    "[Approve](https://evil.example)",
]  # fmt: skip
LABEL_MAX, TITLE_MAX, NAME_MAX, VALUE_MAX, CHOICES_MAX = 75, 200, 200, 100, 50
LINES = "\n".join(TEXTS)
# What is in marks of Slack in these texts.
EMPHASIZED = {"bold", "slanted", "struck", "code", "block"}
# The text that turns what follows it.
TURNING = next(index for index, text in enumerate(TEXTS) if "\u202e" in text)


def scenes(stack):
    yield "Slack: hostile texts stay texts, in the message and its copy", lambda: message(stack)
    yield "Slack: hostile texts stay texts, in a channel", lambda: message(stack, default_channel="C0GENERAL1")
    yield "Slack: hostile texts stay texts, in an action", lambda: action(stack)
    yield "Slack: hostile texts stay texts, in a modal", lambda: modal(stack)
    for character in "x&<\U0001f600":
        name = f"Slack: the longest texts of {character!r} fit"
        yield name, lambda it=character: longest(stack, it)


def long(text, most):
    """The text, repeated to the most characters."""
    line = text.replace("\n", " ") + " "
    return (line * most)[:most].strip()


def options():
    styles = ["primary", "destructive", "secondary"]
    return [{"value": f"o{index}", "label": text, "style": styles[index % 3]} for index, text in enumerate(TEXTS)]


def links_of(asked, settings):
    """The links that a message may have."""
    return [] if settings else [asked["recipients"][0]["answer_url"]]


def message(stack, **settings):
    with workplace(stack, **settings) as it:
        requester = {"kind": "agent", "name": long(LINES, 100)}
        asked, user, message = it.asked(
            long(LINES, TITLE_MAX), name=long(f"\u202ex {LINES}", NAME_MAX), options=options(), body=LINES * 4,
            requester=requester, assurance="confirm", accept_api_answers=False,
        )  # fmt: skip
        assert [live.target for live in message.live()] == links_of(asked, settings), message.live()
        shown = message.shown()
        missing = [text for text in TEXTS if text not in shown and "\u202e" not in text]
        assert not missing, (missing, shown)
        buttons = list(message.buttons())
        assert len(buttons) == len(TEXTS) + bool(settings), buttons
        mallory = it.slack.hire("mallory@example.com")
        _, whispers = it.slack.tap(mallory, message, buttons[0])
        assert len(whispers) == 1, whispers
        early = it.slack.press(user, message, buttons[1])
        it.slack.tap(user, message, buttons[TURNING])
        it.answered(asked, user, f"o{TURNING}")
        it.edited(message)
        assert it.slack.send(early) == fake.Response(200, "")
        live = [live for _, whisper in it.slack.whispers for live in whisper.live()]
        assert len(it.slack.whispers) == 2 and not live, (live, it.slack.whispers)
        marked = [text for each in [message, *(whisper for _, whisper in it.slack.whispers)] for text in each.marked()]
        spilt = [text for text in marked if kit.turns(text) or set(kit.emphasized(text)) & EMPHASIZED]
        assert not spilt, spilt


def action(stack):
    with workplace(stack) as it:
        action = {"name": long(LINES, 100), "args": {text: LINES for text in TEXTS[:3]}}
        asked, user, message = it.asked("A hostile action?", action=action, body=LINES)
        assert [live.target for live in message.live()] == links_of(asked, None), message.live()
        marked = [each for each in kit.text_objects(message.blocks) if each["type"] == "mrkdwn"]
        [block] = [each for each in marked if "```" in each["text"]]
        assert block["text"].count("```") == 2 and block["verbatim"] is True, block
        inside = block["text"].split("```")[1]
        assert json.loads(inside.split("\n", 1)[1]) == action["args"], inside
        it.slack.tap(user, message, "Approve")
        it.answered(asked, user, "approve")
        it.edited(message)


def modal(stack):
    choices = [{"value": f"{index:02}" + "v" * (VALUE_MAX - 2), "label": long(f"{index} {text}", LABEL_MAX)}
               for index in range(CHOICES_MAX) for text in [TEXTS[index % len(TEXTS)]]]  # fmt: skip
    kinds = [
        {"type": "select", "choices": choices, "default": choices[-1]["value"]},
        {"type": "multi_select", "choices": choices, "default": [it["value"] for it in choices]},
        {"type": "text", "default": LINES.replace("\n", " ")}, {"type": "date"}, {"type": "toggle", "default": True},
        {"type": "textarea", "default": LINES * 2, "max_length": 10_000},
        {"type": "number", "min": -1e15, "max": 1e15, "default": 1.5},
    ]  # fmt: skip
    kinds += [{"type": "text", "max_length": 1}] * 13
    fields = [{"key": f"f{index}", "help": long(LINES, 300), **kind} for index, kind in enumerate(kinds)]
    for index, field in enumerate(fields):
        field["label"] = long(f"{index} {TEXTS[index % len(TEXTS)]}", LABEL_MAX)
        if field["type"] in ("text", "textarea", "number"):
            field["placeholder"] = long(LINES, LABEL_MAX)
    with workplace(stack) as it:
        asked, user, message = it.asked(long(LINES, TITLE_MAX), fields=fields, options=options())
        it.slack.tap(user, message, list(message.buttons())[0])
        [modal] = it.slack.modals
        assert len(modal.inputs()) == len(fields) and not kit.live_in_blocks(modal.view["blocks"]), modal.view
        it.slack.submit(modal)
        assert not modal.view, modal.errors
        row = it.answered(asked, user, "o0")
        expected = {field["key"]: field["default"] for field in fields if "default" in field}
        got = {key: value for key, value in row["fields"].items() if value not in (None, "")}
        assert got == expected, (got, expected)
        it.edited(message)


def longest(stack, character):
    """Nothing is refused, and what does not fit is reviewed on the page."""
    label = character * LABEL_MAX
    choices = [{"value": f"{index:03}" + "v" * (VALUE_MAX - 3), "label": label} for index in range(CHOICES_MAX)]
    field = {"label": label, "help": character * 300, "required": False}
    fields = [
        {"key": "a", "type": "text", "placeholder": label, **field}, {"key": "c", "type": "toggle", **field},
        {"key": "b", "type": "select", "choices": choices, **field},
    ]  # fmt: skip
    options = [{"value": f"o{index}", "label": label[:-1] + str(index)} for index in range(10)]
    texts = {"body": character * 5_000, "requester": {"kind": "person", "name": character * 100}}
    with workplace(stack) as it:
        title, name = character * TITLE_MAX, character * NAME_MAX
        _, _, message = it.asked(title, name=name, options=options, fields=fields, assurance="confirm", **texts)
        assert not message.buttons(), "the body is cut"
    with workplace(stack) as it:
        asked, user, message = it.asked(title, name=name, options=options, assurance="confirm")
        if not message.buttons():
            assert character != "x", "only escapes and pairs of units take more room than Slack has"
            return
        assert len(message.buttons()) == len(options), message.buttons()
        it.slack.tap(user, message, list(message.buttons())[0])
        it.answered(asked, user, "o0")
        it.edited(message)
    with workplace(stack) as it:
        asked, user, message = it.asked(title, name=name, options=options, fields=fields, assurance="confirm")
        it.slack.tap(user, message, list(message.buttons())[0])
        [modal] = it.slack.modals
        assert len(modal.view["blocks"]) >= len(fields), modal.view
        it.slack.submit(modal)
        it.answered(asked, user, "o0")
        it.edited(message)
