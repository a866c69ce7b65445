"""Every kind of notifier: asked, notified, the link read from what the service received, answered, reported."""

import base64
import json

import person
import stack as stacks
from fakes import http, smtp
from standardwebhooks import Webhook, WebhookVerificationError

# A secret that signs nothing here.
OTHER_SECRET = "whsec_" + base64.b64encode(bytes(32)).decode()


def scenes(stack):
    yield "e-mail by SES: answered from the outbox", lambda: by_ses(stack)
    yield "e-mail by SES: answered with its code", lambda: by_ses(stack, assurance="code")
    yield "e-mail by SMTP: answered from what the server took", lambda: by_smtp(stack)
    yield "ntfy: answered on the page", lambda: by_http(stack, http.ntfy)
    yield "ntfy: answered by a button", lambda: by_button(stack)
    for name, accept in http.CHATS.items():
        yield f"incoming webhook of {name}: answered on the page", lambda accept=accept: by_http(stack, accept)
    yield "webhook: its signature verifies, and its link answers", lambda: by_webhook(stack)
    yield "webhook: answered with its code", lambda: by_webhook(stack, assurance="code")


def link_without_option(links):
    [link] = [it for it in links if "?" not in it]
    return link


def by_ses(stack, **fields):
    assurance = fields.get("assurance", "confirm")
    asked = stack.ask(f"Mail by SES with {assurance}?", "default", **fields)
    assert asked["assurance"] == assurance, asked["assurance"]
    stack.notified(asked, status="delivered", kind="email", attempts=1, error=None)
    [mail] = stack.mails(asked)
    assert mail["subject"] == asked["title"] and asked["title"] in mail["text"], mail
    links = person.links_of(mail["text"], mail["html"])
    link = link_without_option(links)
    assert links == [link, f"{link}?option=approve", f"{link}?option=reject"], links
    assert link == asked["recipients"][0]["answer_url"], link
    code = asked["recipients"][0].get("code")
    if code:
        assert code in mail["text"] and code in mail["html"], "a mail without its code"
    person.answer(link, "approve", code)
    stack.finished(asked, "approve")


def by_smtp(stack):
    server = smtp.Server("canary-password-of-kinds")
    with stack.notifier("email", server.settings()) as notifier:
        asked = stack.ask("Mail by SMTP?", [notifier])
        stack.notified(asked, status="sent", kind="email", attempts=1, error=None)
    [envelope] = server.mails
    to = asked["recipients"][0]["email"]
    assert (envelope.mail_from, envelope.rcpt_tos) == ("ci@acme.example", [to]), envelope.rcpt_tos
    letter = person.Letter(envelope.content)
    message = letter.message
    assert message["to"] == to and message["from"] == "Acme CI <ci@acme.example>", message.items()
    assert message["subject"] == asked["title"] and message["auto-submitted"] == "auto-generated", message.items()
    assert message["message-id"].startswith("<ntf_") and message["in-reply-to"] is None, message.items()
    link = link_without_option(letter.links)
    # The link of an option leads to its confirmation.
    person.answer(f"{link}?option=reject", "reject")
    stack.finished(asked, "reject")


def by_http(stack, accept, **fields):
    service = http.Service(accept)
    kind, settings = service.notifier()
    with stack.notifier(kind, settings) as notifier:
        name = " ".join([accept.__name__.replace("_", " "), *fields.values()])
        asked = stack.ask(f"Deploy by {name}", [notifier], **fields)
        stack.notified(asked, status="sent", kind=kind, attempts=1, error=None)
    assert not service.problems, service.problems
    [call] = service.taken()
    assert asked["title"] in call.body.decode(), call.body
    person.answer(call.link, "approve", asked["recipients"][0].get("code"))
    stack.finished(asked, "approve")
    return asked, call


def by_button(stack):
    service = http.Service(http.ntfy)
    kind, settings = service.notifier(buttons=True)
    with stack.notifier(kind, settings) as notifier:
        asked = stack.ask("A button of ntfy?", [notifier])
        stack.notified(asked, status="sent")
    [call] = service.taken()
    [_, reject] = call.json["actions"]
    assert reject["label"] == "Reject", reject
    # A double tap is fine.
    for _ in range(2):
        stack.call(reject["method"], reject["url"], json.loads(reject["body"]), key="", status=200)
    stack.finished(asked, "reject")


def by_webhook(stack, **fields):
    asked, call = by_http(stack, http.own_system, **fields)
    secret = stack.call("GET", "/v1/secret?reveal=true")["secret"]
    Webhook(secret).verify(call.body, call.headers)
    for wrong_secret, body in [(OTHER_SECRET, call.body), (secret, call.body + b" ")]:
        try:
            Webhook(wrong_secret).verify(body, call.headers)
        except WebhookVerificationError:
            continue
        raise AssertionError("a wrong secret, or another body, verifies")
    message = call.json
    row = asked["recipients"][0]
    expected = (asked["id"], "ask", {"email": row["email"], "name": None}, row.get("code"), stacks.OPTIONS)
    got = tuple(message.get(it) for it in ["request_id", "purpose", "recipient", "code", "options"])
    assert got == expected, message
    assert message["notification_id"] == stack.notification(asked)["id"], message
