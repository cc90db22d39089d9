"""The rules that all projects have."""

from rule import Rule


class LongLine(Rule):
    """Lines have at most 40 characters."""

    name = "long-line"

    def check(self, line):
        return f"{len(line)} characters" if len(line) > 40 else None


class TrailingSpace(Rule):
    """Lines don't end with spaces."""

    name = "trailing-space"

    def check(self, line):
        return "space at the end" if line != line.rstrip() else None
