"""What people see in Slack: messages and modals."""

from fakes import blocks as kit


class Message:
    """A message in a channel as it is now, or one that only one user sees."""

    def __init__(self, channel, ts, text, blocks):
        self.channel, self.ts, self.text, self.blocks = channel, ts, text, blocks
        self.edits = 0

    def buttons(self):
        elements = [it for block in self.blocks or [] for it in block.get("elements", [])]
        return {kit.spelled(it["text"]["text"]): it for it in elements if it["type"] == "button"}

    def live(self):
        """The links and mentions in its markup. The text of a message with blocks is for notifications."""
        return kit.live_in_blocks(self.blocks) if self.blocks else kit.live_in(self.text)

    def marked(self):
        """Its texts that are in Slack's markup."""
        if not self.blocks:
            return [self.text]
        return [it["text"] for it in kit.text_objects(self.blocks) if it["type"] == "mrkdwn"]

    def shown(self):
        return kit.shown(self.blocks) if self.blocks else kit.spelled(self.text)


class Modal:
    """An open modal of one user. `view` is None once it is closed."""

    def __init__(self, view, user):
        self.view, self.user, self.errors, self.entered = view, user, {}, {}

    def inputs(self):
        """The input blocks by their labels."""
        found = [it for it in self.view["blocks"] if it["type"] == "input"]
        return {kit.spelled(it["label"]["text"]): it for it in found}

    def shown(self):
        return kit.shown(self.view["blocks"])

    def errors_by_label(self):
        ids = {label: it["block_id"] for label, it in self.inputs().items()}
        return {label: self.errors[it] for label, it in ids.items() if it in self.errors}

    def state(self):
        """What Slack sends of all inputs, with what a user entered."""
        values = {}
        for label, block in self.inputs().items():
            element = block["element"]
            values[block["block_id"]] = {element["action_id"]: state_of(element, self.entered.get(label))}
        return {"values": values}


def state_of(element, entered):
    """The state of an input. `entered` is a text, a label, labels, a date, or true for a box."""
    kind, result = element["type"], {"type": element["type"]}
    if kind in ("plain_text_input", "number_input"):
        return {**result, "value": entered if entered is not None else element.get("initial_value")}
    if kind == "datepicker":
        return {**result, "selected_date": entered if entered is not None else element.get("initial_date")}
    by_label = {kit.spelled(it["text"]["text"]): it for it in element["options"]}
    if kind == "static_select":
        return {**result, "selected_option": by_label[entered] if entered else element.get("initial_option")}
    if kind == "checkboxes":
        chosen = element.get("initial_options", []) if entered is None else element["options"] if entered else []
        return {**result, "selected_options": chosen}
    chosen = element.get("initial_options", []) if entered is None else [by_label[it] for it in entered]
    return {**result, "selected_options": chosen}
