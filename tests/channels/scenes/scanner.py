"""A program of a mail gateway: it opens each link of a mail, and submits each form once.

`tests/browser/scanner.js` does the same in a browser. SECURITY.md says what each assurance holds against.
"""

import itertools
import time

import person

WAIT_SECONDS = 3


def scenes(stack):
    yield "scanner: decides nothing under the default", lambda: scan(stack, {}, ["confirm"], None)
    yield "scanner: decides nothing under `code`", lambda: scan(stack, {"assurance": "code"}, ["code"], None)
    yield (
        "scanner: decides nothing under `code`, also by the confirmation",
        lambda: scan(stack, {"assurance": "code"}, ["code"], None, confirms=True),
    )
    # Else the scenes above could not fail.
    yield "scanner: decides under `link`", lambda: scan(stack, {"assurance": "link"}, ["link"], "approve")
    yield "scanner: decides by the confirmation", lambda: scan(stack, {}, ["confirm"], "approve", confirms=True)


def scan(stack, fields, assurance, decision, confirms=False):
    title = f"Scanned {assurance} {confirms} {decision}?"
    asked = stack.ask(title, "default", **fields)
    assert [asked["assurance"]] == assurance, asked["assurance"]
    stack.notified(asked, status="delivered")
    [mail] = stack.mails(asked)
    links = person.links_of(mail["text"], mail["html"])
    for link in links:
        assert person.load(link, method="HEAD").text == "", "a HEAD has no body"
    pages = [person.load(link) for link in links]
    assert all(it.forms for it in pages), "a page without a form"
    time.sleep(WAIT_SECONDS)
    followed = [followed for page in pages for followed in submit_all(page)]
    assert len(followed) > len(links), "too few buttons"
    if confirms:
        time.sleep(WAIT_SECONDS)
        list(itertools.chain.from_iterable(submit_all(it) for it in followed))
    seen = stack.call("GET", f"/v1/requests/{asked['id']}")
    [row] = seen["responses"]
    assert (seen["decision"], row["option"]) == (decision, decision), seen
    assert seen["status"] == ("finished" if decision else "pending"), seen


def submit_all(page):
    """The pages to which its forms lead: each form is submitted by each of its buttons, and without one."""
    for form in page.forms:
        for button in [*form.buttons, {}]:
            yield page.submit(form, **button)
