"""Slack: people answer in the message, as themselves. A press by anyone else changes nothing."""

from scenes.slack import failures, hostile, modals, refusals, taps


def scenes(stack):
    for part in [failures, taps, modals, refusals, hostile]:
        yield from part.scenes(stack)


def slow_scenes(stack):
    yield from failures.slow_scenes(stack)
