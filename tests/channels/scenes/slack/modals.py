"""Fields, which are filled in in a modal."""

import json

import person
from fakes import blocks as kit
from fakes import slack as fake
from scenes.slack.workplace import plain, workplace

FIELDS = [
    {"key": "why", "type": "textarea", "label": "Why?", "required": ["reject"], "help": "One sentence"},
    {"key": "note", "type": "text", "label": "Note", "default": "none", "max_length": 10},
    {"key": "count", "type": "number", "label": "How many?", "min": 1, "max": 10},
    {"key": "when", "type": "date", "label": "When?", "default": "2031-12-24"},
    {"key": "where", "type": "select", "label": "Where?", "default": "b",
     "choices": [{"value": "a", "label": "Here"}, {"value": "b", "label": "There"}]},
    {"key": "who", "type": "multi_select", "label": "Who?",
     "choices": [{"value": "x", "label": "X"}, {"value": "y", "label": "Y"}, {"value": "z", "label": "Z"}]},
    {"key": "sure", "type": "toggle", "label": "Sure?", "required": True},
]  # fmt: skip


def scenes(stack):
    yield "Slack: fields of all kinds are filled in in a modal", lambda: modal(stack)
    yield "Slack: a modal names what is wrong, by its inputs", lambda: invalid_fields(stack)
    yield "Slack: a modal that is late opens at the next press", lambda: late_modal(stack)
    yield "Slack: defaults that a modal cannot show are shown on the page", lambda: long_defaults(stack)


def open_modal(it, user, message, label):
    payload, whispers = it.slack.tap(user, message, label)
    assert not whispers, whispers
    modal = it.slack.modals[-1]
    assert modal.user == user and not kit.live_in_blocks(modal.view["blocks"]), modal.view
    return modal, payload


def modal(stack):
    with workplace(stack) as it:
        asked, user, message = it.asked("Deploy with fields?", fields=FIELDS)
        # A modal may be closed, and another be opened.
        open_modal(it, user, message, "Approve")
        it.pending(asked)
        modal, _ = open_modal(it, user, message, "Reject")
        assert list(modal.inputs()) == [field["label"] for field in FIELDS], modal.view
        optional = [label for label, block in modal.inputs().items() if block.get("optional")]
        assert "Why?" not in optional and "How many?" in optional, optional
        assert "Reject" in modal.shown() and "One sentence" in modal.shown(), modal.view
        modal.entered = {"Why?": "It *fails*\n<!channel>", "How many?": "2.50", "Where?": "Here", "Who?": ["Z", "X"],
                         "Sure?": True}  # fmt: skip
        it.slack.submit(modal)
        assert not modal.view, (modal.errors, modal.view)
        row = it.answered(asked, user, "reject")
        expected = {"why": "It *fails*\n<!channel>", "note": "none", "count": 2.5, "when": "2031-12-24", "where": "a",
                    "who": ["x", "z"], "sure": True}  # fmt: skip
        assert row["fields"] == expected, row
        it.edited(message)
        stack.finished(asked, "reject")


def invalid_fields(stack):
    with workplace(stack) as it:
        asked, user, message = it.asked("Deploy with invalid fields?", fields=FIELDS)
        modal, _ = open_modal(it, user, message, "Reject")
        modal.entered = {"Note": "longer than that", "How many?": "11", "When?": "2031-12-25", "Sure?": False}
        it.slack.submit(modal)
        errors = modal.errors_by_label()
        assert set(errors) == {"Why?", "Note", "How many?", "Sure?"}, (errors, modal.view)
        assert "required" in errors["Why?"] and "10" in errors["How many?"], errors
        it.pending(asked)
        modal.entered |= {"Why?": "because", "Note": "short", "How many?": "ten"}
        it.slack.submit(modal)
        assert set(modal.errors_by_label()) == {"How many?", "Sure?"}, modal.errors
        modal.entered |= {"How many?": "10", "Sure?": True}
        submission = it.slack.submission(modal)
        it.slack.submit(modal)
        assert not modal.view, (modal.errors, modal.view)
        it.answered(asked, user, "reject")
        # Sent again, and by another user.
        assert it.slack.send(submission) == fake.Response(200, "")
        mallory = it.slack.hire("mallory@example.com")
        stolen = json.loads(it.slack.send({**submission, "user": {"id": mallory}}).text)
        assert stolen["response_action"] == "update" and "Only Ada can" in plain(kit.shown(stolen["view"]["blocks"])), stolen
        kit.check_view(stolen["view"])
        it.edited(message)


def late_modal(stack):
    with workplace(stack) as it:
        asked, user, message = it.asked("Deploy late?", fields=FIELDS)
        it.slack.faults["views.open"] = ["expired_trigger_id"]
        _, whispers = it.slack.tap(user, message, "Approve")
        assert len(whispers) == 1 and "press the button again" in whispers[0], whispers
        modal, payload = open_modal(it, user, message, "Approve")
        # A trigger works once.
        assert it.slack.send(payload) == fake.Response(200, "")
        assert it.slack.calls[-1].answer["error"] == "exchanged_trigger_id", it.slack.calls[-1]
        it.pending(asked)
        # Answered on the page meanwhile: the modal says so.
        person.answer_json(asked["recipients"][0]["answer_url"], "approve", {"sure": True})
        modal.entered = {"Sure?": True, "Why?": "because"}
        it.slack.submit(modal)
        assert modal.view and "“Approve” by Ada" in plain(modal.shown()), (modal.view, modal.errors)
        it.edited(message)


def long_defaults(stack):
    """What Slack's inputs cannot show is answered on the page: nobody answers with what they did not see."""
    fields = [
        {"key": "size", "type": "number", "label": "Size", "min": -1e22, "max": 1e22, "default": 1e21},
        {"key": "log", "type": "textarea", "label": "Log", "default": "x" * 4_000},
    ]
    with workplace(stack) as it:
        _, _, message = it.asked("Deploy with long defaults?", fields=fields)
        assert not message.buttons() and "/a/" in json.dumps(message.blocks), message.blocks
