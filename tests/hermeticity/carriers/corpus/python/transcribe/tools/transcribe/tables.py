"""The tables, each read when it is first needed."""

import os

_FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "alphabets")


class Tables:
    """Tables by the name of their alphabet."""

    _loaded = {}

    def table(self, alphabet):
        if alphabet not in self._loaded:
            self._loaded[alphabet] = self._load(alphabet)
        return self._loaded[alphabet]

    @staticmethod
    def _load(alphabet):
        path = os.path.join(_FOLDER, f"{os.path.basename(alphabet)}.txt")
        if not os.path.isfile(path):
            raise ValueError(f"unknown alphabet {alphabet}")
        with open(path, encoding="utf-8") as file:
            pairs = [line.split() for line in file]
        return str.maketrans(dict(pairs))
