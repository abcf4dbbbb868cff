"""Handlers for filters, operators and the helpers of the command line."""

from tests.golden.runner import Handler

KINDS: dict[str, Handler] = {}
