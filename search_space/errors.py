"""The one exception that a user's mistake raises."""


class InputError(ValueError):
    """What the user gave cannot be used: the message states the rule, the value that came and the cure, in one line."""
