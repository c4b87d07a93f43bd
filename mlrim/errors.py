"""The one exception that means 'the user can fix this'; entry points print it without a traceback."""


class UserError(Exception):
    """A mistake in what the user gave: the message says what, where, what is allowed and how to fix it."""
