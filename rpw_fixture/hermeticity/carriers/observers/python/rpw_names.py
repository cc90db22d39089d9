"""Where names are defined: lines of the tool's source files, by reading their syntax trees."""

from __future__ import annotations

import ast
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from rpw_fixture.hermeticity.carriers.observers.python import rpw_text

_MOST_BYTES = 1 << 20
_SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


class Definitions:
    """The definitions in the files below a folder.

    Args:
        root: the input root, an absolute path.
    """

    def __init__(self, root: str) -> None:
        self._roots = tuple({os.path.join(each, "") for each in (root, os.path.realpath(root))})
        self._trees: dict[str, Any] = {}
        self._shown: dict[str, str | None] = {}

    def is_inside(self, path: str | None) -> bool:
        """Return whether a file belongs to the tool."""
        return self.relative(path) is not None

    def relative(self, path: str | None) -> str | None:
        """Return a path relative to the input root; None if it is outside."""
        if not path or path.startswith("<"):
            return None
        if path not in self._shown:
            full = os.path.normpath(os.path.join(self._roots[0], path))
            found = [full[len(each) :] for each in self._roots if full.startswith(each)]
            self._shown[path] = found[0] if found else None
        return self._shown[path]

    def shortened(self, text: str) -> str:
        """Return text without the path of the input root, which differs from run to run."""
        for each in self._roots:
            text = text.replace(each, "")
        return text

    def file_of(self, module: str | None) -> str | None:
        """Return the file of a loaded module; None if it has none."""
        found = sys.modules.get(module or "")
        if found is None or not rpw_text.is_module(found):
            return None
        file = rpw_text.names_of(found).get("__file__")
        return file if type(file) is str else None

    def imported(self, path: str | None) -> set[str]:
        """Return the names that a file imports at its top level."""
        found: set[str] = set()
        for node in getattr(self._tree(path), "body", ()):
            if isinstance(node, (ast.Import, ast.ImportFrom)):
                found.update((each.asname or each.name).partition(".")[0] for each in node.names)
        return found

    def place(self, path: str | None, scopes: list[str], name: str) -> str:
        """Return file and line of a definition; "" if it is not found.

        Args:
            path: the file.
            scopes: names of the classes and functions around it, from outside to inside.
            name: what is defined there; "" for the innermost scope itself.
        """
        shown, tree = self.relative(path), self._tree(path)
        if shown is None or tree is None:
            return ""
        node = tree
        for scope in scopes:
            inner = [
                each
                for each in ast.walk(node)
                if isinstance(each, _SCOPES) and each.name == scope and each is not node
            ]
            if not inner:
                break
            node = inner[0]
        line = _line(node, name) if name else getattr(node, "lineno", 0)
        if not line and node is not tree:
            line = _line(tree, name) or getattr(node, "lineno", 0)
        return f"{shown}:{line}" if line else ""

    def attribute(self, path: str | None, scopes: list[str], name: str) -> str:
        """Return file and line where a class sets an attribute of its instances; "" if it does not."""
        shown, node = self.relative(path), self._tree(path)
        for scope in scopes:
            inner = [
                each
                for each in ast.walk(node or ast.Module([], []))
                if isinstance(each, _SCOPES) and each.name == scope
            ]
            node = inner[0] if inner else None
        if shown is None or node is None:
            return ""
        for each in ast.walk(node):
            targets = getattr(each, "targets", None) or [getattr(each, "target", None)]
            for target in targets:
                if isinstance(target, ast.Attribute) and target.attr == name:
                    return f"{shown}:{target.lineno}"
                if isinstance(target, ast.Name) and target.id == name:
                    return f"{shown}:{target.lineno}"
        return f"{shown}:{node.lineno}"

    def _tree(self, path: str | None) -> Any:
        if path is None or not self.is_inside(path) or not path.endswith(".py"):
            return None
        if path not in self._trees:
            self._trees[path] = None
            full = os.path.join(self._roots[0], path)
            try:
                with open(full, "rb") as file:
                    self._trees[path] = ast.parse(file.read(_MOST_BYTES))
            except (OSError, SyntaxError, ValueError, RecursionError):
                pass
        return self._trees[path]


def _line(scope: Any, name: str) -> int:
    """Return the line of the first binding of a name: in a scope itself, else anywhere in it."""
    direct = [each for each in _direct(scope) if _binds(each, name)]
    nested = [] if direct else [each for each in ast.walk(scope) if _binds(each, name)]
    lines = [each.lineno for each in direct or nested if hasattr(each, "lineno")]
    return min(lines, default=0)


def _direct(scope: Any) -> list[Any]:
    """Return the nodes of a scope without those of scopes within it."""
    found, waiting = [], list(ast.iter_child_nodes(scope))
    while waiting:
        node = waiting.pop()
        found.append(node)
        if not isinstance(node, (*_SCOPES, ast.Lambda)):
            waiting.extend(ast.iter_child_nodes(node))
    return found


def _binds(node: Any, name: str) -> bool:
    if isinstance(node, ast.Name):
        return node.id == name and isinstance(node.ctx, ast.Store)
    if isinstance(node, ast.arg):
        return node.arg == name
    if isinstance(node, _SCOPES):
        return node.name == name
    return False
