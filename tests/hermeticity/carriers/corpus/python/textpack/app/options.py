"""The options of a request."""

from dataclasses import dataclass, field
from fnmatch import fnmatchcase


class OptionError(Exception):
    """The arguments are wrong."""


class SkipList:
    """Patterns of lines that are left out."""

    def __init__(self, *patterns):
        self._patterns = list(patterns)

    def add(self, pattern):
        self._patterns.append(pattern)

    def __contains__(self, line):
        return any(fnmatchcase(line, each) for each in self._patterns)


@dataclass
class Options:
    """All options, with their defaults."""

    output: str = ""
    sources: list[str] = field(default_factory=list)
    skip: SkipList = SkipList("#*")
    verbose: bool = False


def parse(arguments):
    options = Options()
    words = iter(arguments)
    for word in words:
        if word.startswith("@"):
            with open(word[1:], encoding="utf-8") as file:
                return parse(file.read().splitlines())
        if word == "--output":
            options.output = next(words, "")
        elif word == "--skip":
            options.skip.add(next(words, ""))
        elif word == "--verbose":
            options.verbose = True
        else:
            options.sources.append(word)
    if not options.output:
        raise OptionError("--output is missing")
    return options
