"""Numbers that stay the same when names are added: they are kept in a file."""

import contextlib
import json
import os
import tempfile


class Book:
    """The numbers so far."""

    def __init__(self, numbers):
        self.numbers = numbers

    def number(self, name):
        return self.numbers.setdefault(name, len(self.numbers) + 1)


@contextlib.contextmanager
def open_book():
    path = os.path.join(tempfile.gettempdir(), "enumgen-numbers.json")
    try:
        with open(path, encoding="utf-8") as file:
            book = Book(json.load(file))
    except FileNotFoundError:
        book = Book({})
    yield book
    with open(path, "w", encoding="utf-8") as file:
        json.dump(book.numbers, file)
