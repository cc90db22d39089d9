"""The shop's rules."""

from rule import Rule


class NoShouting(Rule):
    """Texts for customers have no exclamation marks."""

    name = "no-shouting"

    def check(self, line):
        return "an exclamation mark" if "!" in line else None
