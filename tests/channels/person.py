"""Pages and mails, as people and programs read them."""

import email
import email.policy
import html.parser
import json
import re
import time
import urllib.error
import urllib.parse
import urllib.request

SECONDS = 30
# Ages from which the form of a page may decide, and that of its second step, with some time to spare.
READ_SECONDS, CONFIRMED_SECONDS = 2.3, 1.3
DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))
LINK = re.compile(r"https?://[^\s<>|\"')\]]+")


class Form:
    """A form: its hidden and written fields, and the values of its buttons."""

    def __init__(self):
        self.fields, self.buttons = {}, []


class Page(html.parser.HTMLParser):
    """A page after its redirects."""

    def __init__(self, url, status, text):
        super().__init__()
        self.url, self.status, self.text = url, status, text
        self.links, self.forms = [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        its = dict(attributes)
        if tag == "a" and "href" in its:
            self.links.append(urllib.parse.urljoin(self.url, its["href"]))
        elif tag == "form":
            self.forms.append(Form())
        elif tag == "input" and "name" in its:
            self.forms[-1].fields[its["name"]] = its.get("value") or ""
        elif tag == "button" and self.forms:
            self.forms[-1].buttons.append({its["name"]: its.get("value") or ""} if "name" in its else {})

    def submit(self, form, **more):
        """Sends one of its forms. `more` are the button and what a person writes."""
        return load(self.url, {**form.fields, **more})

    def is_confirmation(self):
        """It asks once more about one option."""
        return bool(self.forms) and bool(self.forms[0].fields.get("option"))


def load(url, fields=None, method=None):
    """Opens a page, or sends a form."""
    data = None if fields is None else urllib.parse.urlencode(fields).encode()
    request = urllib.request.Request(url, data, method=method)
    try:
        with DIRECT.open(request, timeout=SECONDS) as response:
            return Page(response.url, response.status, response.read().decode())
    except urllib.error.HTTPError as error:
        with error:
            return Page(url, error.code, error.read().decode())


def answer(link, option, code=None):
    """Opens a link, reads, chooses, and confirms if the page asks."""
    page = load(link)
    assert page.status == 200 and page.forms, (page.status, page.text[:400])
    [form] = page.forms
    assert {"option": option} in form.buttons, form.buttons
    time.sleep(READ_SECONDS)
    written = {"code": code} if code else {}
    page = page.submit(form, option=option, **written)
    if page.is_confirmation():
        time.sleep(CONFIRMED_SECONDS)
        page = page.submit(page.forms[0])
    assert page.status == 200, (page.status, page.text[:400])


def answer_json(link, option, fields):
    """Answers as a program does."""
    token = link.rsplit("/", 1)[1]
    url = link.replace(f"/a/{token}", f"/v1/answers/{token}")
    body = json.dumps({"option": option, "fields": fields}).encode()
    request = urllib.request.Request(url, body, {"content-type": "application/json"}, method="POST")
    with DIRECT.open(request, timeout=SECONDS) as response:
        assert response.status == 200, response.status


class Letter:
    """A mail, read from its source with Python's own reader."""

    def __init__(self, raw):
        self.message = email.message_from_bytes(raw, policy=email.policy.default)
        assert not self.message.defects, self.message.defects
        self.text = self.message.get_body(["plain"]).get_content()
        self.html = self.message.get_body(["html"]).get_content()
        self.links = links_of(self.text, self.html)


def links_of(text, markup):
    """The links in both parts of a mail, which must be the same."""
    in_text, in_markup = set(LINK.findall(text)), set(Page("", 200, markup).links)
    assert in_text == in_markup, (in_text, in_markup)
    return sorted(in_text)
