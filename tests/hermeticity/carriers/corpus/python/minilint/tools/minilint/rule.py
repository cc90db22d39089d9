"""What a rule is."""


class RuleType(type):
    """Takes down every rule that is defined, so that a plug-in has nothing to call."""

    known = {}

    def __init__(cls, name, bases, namespace):
        super().__init__(name, bases, namespace)
        if bases:
            RuleType.known[cls.name] = cls


class Rule(metaclass=RuleType):
    """A rule; `check` returns a message, or None if the line is good."""

    name = ""

    def check(self, line):
        raise NotImplementedError
