"""Docpress makes a page of a text; the folder of a book has its settings in conf.py."""

import importlib
import os
import sys

import rpw_worker


class Book:
    """The settings of a book."""

    def __init__(self, folder):
        self.folder = folder
        settings = self._load()
        self.title = getattr(settings, "title", "untitled")
        self.footer = getattr(settings, "footer", "")
        self.filters = getattr(settings, "filters", [])

    def _load(self):
        sys.path.insert(0, self.folder)
        try:
            return importlib.import_module("conf")
        except ImportError:
            raise rpw_worker.ToolError(f"{self.folder} has no conf.py") from None
        finally:
            sys.path.remove(self.folder)

    def page(self, text):
        for each in self.filters:
            text = each(text)
        lines = [f"<h1>{self.title}</h1>"]
        lines += [f"<p>{each.strip()}</p>" for each in text.split("\n\n")]
        if self.footer:
            lines.append(f"<footer>{self.footer}</footer>")
        return "\n".join(lines) + "\n"


def handle(request):
    folder, source, output = request.expanded_arguments()
    book = Book(os.path.abspath(request.resolve(folder)))
    text = rpw_worker.read_file(request, source).decode()
    with open(request.resolve(output), "w", encoding="utf-8") as file:
        file.write(book.page(text))
    return rpw_worker.WorkResponse()


if __name__ == "__main__":
    sys.exit(rpw_worker.main(handle))
