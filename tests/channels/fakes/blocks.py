"""Block Kit, as Slack documents it: what a message or a modal may be made of, and what its markup would do.

https://docs.slack.dev/reference/block-kit and https://docs.slack.dev/messaging/formatting-message-text
"""

import collections
import datetime
import re

MESSAGE_BLOCKS_MAX, VIEW_BLOCKS_MAX = 50, 100
# Slack refuses more with `msg_blocks_too_long`, and documents no number. This one was measured.
MESSAGE_UNITS_MAX = 13_200
ID_UNITS_MAX = 255
NUMBER = re.compile(r"-?\d+(\.\d+)?")
# What Slack makes of markup: between angle brackets, and without `verbatim` in the words themselves.
BRACKETS = re.compile(r"<([^<>\n]*)>")
WORDS = re.compile(r"https?://[^\s<>|]+|(?<![\w.@])@(?:here|channel|everyone)\b|(?<![\w&])#[\w-]+", re.IGNORECASE)
EMPHASIS = re.compile(r"(?<![\w*_~`])(\*|_|~|`{1,3})(?=\S)([^*_~`\n]*[^\s*_~`\u2060])\1(?![\w*_~`\u2060])")
# Any of these makes nothing live.
ESCAPES = re.compile(r"&(?!amp;|lt;|gt;)|[<>]")

Live = collections.namedtuple("Live", ["target", "shown"])


class Invalid(Exception):
    """Slack would answer `invalid_blocks`."""


def units(text):
    return len(text.encode("utf-16-le")) // 2


def need(is_right, what):
    if not is_right:
        raise Invalid(what)


def members(it, required, optional=()):
    need(isinstance(it, dict), f"not an object: {it!r}")
    missing, more = set(required) - set(it), set(it) - set(required) - set(optional)
    need(not missing and not more, f"{it.get('type')}: without {missing}, and with {more}")


def text_object(it, most, kinds=("plain_text",)):
    members(it, ["type", "text"], ["emoji"] if it.get("type") == "plain_text" else ["verbatim"])
    need(it["type"] in kinds, f"{it['type']} instead of {kinds}")
    need(1 <= units(it["text"]) <= most, f"{units(it['text'])} characters instead of 1 to {most}: {it['text'][:80]!r}")
    if it["type"] == "plain_text":
        need(not ESCAPES.search(it["text"]), f"not escaped: {it['text'][:80]!r}")


def some(it, name, check, *more):
    if name in it:
        check(it[name], *more)


def string(it, most):
    need(isinstance(it, str) and units(it) <= most, f"not a text of at most {most}: {it!r:.80}")


BOTH = ("plain_text", "mrkdwn")


def header(it):
    members(it, ["type", "text"], ["block_id"])
    text_object(it["text"], 150)


def section(it):
    members(it, ["type", "text"], ["block_id", "fields", "accessory", "expand"])
    text_object(it["text"], 3000, BOTH)


def divider(it):
    members(it, ["type"], ["block_id"])


def context(it):
    members(it, ["type", "elements"], ["block_id"])
    need(1 <= len(it["elements"]) <= 10, "a context of 1 to 10 elements")
    for element in it["elements"]:
        text_object(element, 3000, BOTH)


def actions(it):
    members(it, ["type", "elements"], ["block_id"])
    need(1 <= len(it["elements"]) <= 25, "1 to 25 elements")
    for element in it["elements"]:
        need(element.get("type") == "button", f"{element.get('type')} is not used in messages")
        button(element)
    ids = [element["action_id"] for element in it["elements"] if "action_id" in element]
    need(len(set(ids)) == len(ids), f"an action_id twice: {ids}")


def button(it):
    members(it, ["type", "text"], ["action_id", "url", "value", "style", "confirm", "accessibility_label"])
    text_object(it["text"], 75)
    some(it, "action_id", string, ID_UNITS_MAX)
    some(it, "value", string, 2000)
    some(it, "url", string, 3000)
    need(it.get("style", "primary") in ("primary", "danger"), f"the style {it.get('style')}")
    some(it, "confirm", confirm)


def confirm(it):
    members(it, ["title", "text", "confirm", "deny"], ["style"])
    text_object(it["title"], 100)
    text_object(it["text"], 300, BOTH)
    text_object(it["confirm"], 30)
    text_object(it["deny"], 30)


def input_block(it):
    members(it, ["type", "label", "element"], ["block_id", "dispatch_action", "hint", "optional"])
    text_object(it["label"], 2000)
    some(it, "hint", text_object, 2000)
    element = it["element"]
    need(element.get("type") in INPUTS, f"an input of {element.get('type')}")
    INPUTS[element["type"]](element)


def input_element(it, required=(), optional=()):
    common = ["action_id", "focus_on_load", "placeholder"]
    members(it, ["type", *required], [*common, *optional])
    some(it, "action_id", string, ID_UNITS_MAX)
    some(it, "placeholder", text_object, 150)


def plain_text_input(it):
    input_element(it, (), ["initial_value", "multiline", "min_length", "max_length", "dispatch_action_config"])
    most = it.get("max_length", 3000)
    need(1 <= most <= 3000 and 0 <= it.get("min_length", 0) <= most, f"lengths: {it}")
    some(it, "initial_value", string, most)


def number_input(it):
    input_element(it, ["is_decimal_allowed"], ["initial_value", "min_value", "max_value", "dispatch_action_config"])
    written = {name: it[name] for name in ["min_value", "initial_value", "max_value"] if name in it}
    need(all(isinstance(text, str) and NUMBER.fullmatch(text) for text in written.values()), f"numbers: {written}")
    numbers = [float(text) for text in written.values()]
    need(numbers == sorted(numbers), f"an order of numbers: {written}")


def option(it, most_kinds=("plain_text",)):
    members(it, ["text", "value"], ["description", "url"])
    text_object(it["text"], 75, most_kinds)
    string(it["value"], 150)
    some(it, "description", text_object, 75)


def options(it, most=100, kinds=("plain_text",)):
    need(1 <= len(it["options"]) <= most, f"{len(it['options'])} options instead of 1 to {most}")
    for each in it["options"]:
        option(each, kinds)
    values = [each["value"] for each in it["options"]]
    need(len(set(values)) == len(values), f"a value twice: {values}")
    initial = it.get("initial_options", [it["initial_option"]] if "initial_option" in it else None)
    need(initial is None or initial and all(each in it["options"] for each in initial), f"initial: {initial}")


def static_select(it):
    input_element(it, ["options"], ["initial_option", "confirm"])
    options(it)


def multi_static_select(it):
    input_element(it, ["options"], ["initial_options", "confirm", "max_selected_items"])
    options(it)


def checkboxes(it):
    members(it, ["type", "options"], ["action_id", "focus_on_load", "initial_options", "confirm"])
    options(it, 10, BOTH)


def datepicker(it):
    input_element(it, (), ["initial_date", "confirm"])
    if "initial_date" in it:
        try:
            need(len(datetime.date.fromisoformat(it["initial_date"]).isoformat()) == len(it["initial_date"]), "a date")
        except ValueError as error:
            raise Invalid(f"a date: {it}") from error


INPUTS = {
    "plain_text_input": plain_text_input, "number_input": number_input, "static_select": static_select,
    "multi_static_select": multi_static_select, "checkboxes": checkboxes, "datepicker": datepicker,
}  # fmt: skip
BLOCKS = {"header": header, "section": section, "divider": divider, "context": context, "actions": actions}


def check_blocks(blocks, kinds, most):
    need(isinstance(blocks, list) and 1 <= len(blocks) <= most, f"{len(blocks)} blocks instead of 1 to {most}")
    for block in blocks:
        need(block.get("type") in kinds, f"a block of the type {block.get('type')}")
        some(block, "block_id", string, ID_UNITS_MAX)
        kinds[block["type"]](block)
    ids = [block["block_id"] for block in blocks if "block_id" in block]
    need(len(set(ids)) == len(ids), f"a block_id twice: {ids}")


def check_message(blocks):
    check_blocks(blocks, BLOCKS, MESSAGE_BLOCKS_MAX)


def check_view(view):
    optional = [
        "blocks", "close", "submit", "private_metadata", "callback_id", "clear_on_close", "notify_on_close",
        "external_id", "submit_disabled",
    ]  # fmt: skip
    members(view, ["type", "title"], optional)
    need(view["type"] == "modal", view["type"])
    text_object(view["title"], 24)
    some(view, "close", text_object, 24)
    some(view, "submit", text_object, 24)
    some(view, "private_metadata", string, 3000)
    some(view, "callback_id", string, ID_UNITS_MAX)
    check_blocks(view["blocks"], {**BLOCKS, "input": input_block}, VIEW_BLOCKS_MAX)
    has_inputs = any(block["type"] == "input" for block in view["blocks"])
    need("submit" in view or not has_inputs, "inputs without a button to submit")


def text_objects(it):
    """All text objects within blocks."""
    if isinstance(it, list):
        for each in it:
            yield from text_objects(each)
    elif isinstance(it, dict):
        if it.get("type") in BOTH and isinstance(it.get("text"), str):
            yield it
        for each in it.values():
            yield from text_objects(each)


def live_in(text, is_verbatim=False):
    """The links and mentions that Slack makes of a text in its markup. Dates are texts."""
    found = []
    for inside in BRACKETS.findall(text):
        target, _, shown = inside.partition("|")
        if not target.startswith("!date^"):
            found.append(Live(target, shown))
    words = BRACKETS.sub(" ", text)
    need(not ESCAPES.search(words), f"not escaped: {words[:200]!r}")
    # Slack shows code as it is, but calls who is mentioned there.
    if not is_verbatim:
        found += [Live(it, it) for it in WORDS.findall(words)]
    return found


def live_in_blocks(blocks):
    """The links and mentions in all texts of these blocks that are in Slack's markup."""
    marked = [it for it in text_objects(blocks) if it["type"] == "mrkdwn"]
    return [live for it in marked for live in live_in(it["text"], it.get("verbatim", False))]


def turns(text):
    """A text of others changes the direction of the words around it."""
    depth = 0
    for character in text:
        depth += (character in "\u2066\u2067\u2068") - (character == "\u2069")
        if depth < 0 or character in "\u202a\u202b\u202c\u202d\u202e":
            return True
    return depth > 0


def emphasized(text):
    """The words that Slack shows bold, slanted, struck or as code: between two marks, each at the edge of a word."""
    return [it.group(2) for it in EMPHASIS.finditer(text)]


def spelled(text):
    """The text as people see it."""
    shown = BRACKETS.sub(lambda it: it.group(1).rpartition("|")[2], text)
    return shown.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


def shown(blocks):
    """All texts of blocks as people see them, one a line."""
    return "\n".join(spelled(it["text"]) for it in text_objects(blocks))
