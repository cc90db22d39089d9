"""The walk to everything reachable that can change, from the names that the tool's code uses.

The tool's modules come first, then local variables of running functions, then the process, then all other
modules. The walk is breadth first and ends at limits of objects and of time, so that what is near to a name
is always looked at.
"""

from __future__ import annotations

import collections
import os
import sys
import time
import types

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from rpw_fixture.hermeticity.carriers.observers.python import (
        rpw_contents,
        rpw_names,
        rpw_objects,
        rpw_process,
        rpw_text,
    )

_MOST_OBJECTS = 200_000
#: Seconds of processor time, because a busy machine must not cut a walk short.
_SECONDS = 1.5
#: Modules of the standard library whose containers hold state of the process.
_STATEFUL = frozenset(
    (
        "logging",
        "warnings",
        "random",
        "linecache",
        "mimetypes",
        "csv",
        "tempfile",
        "gettext",
        "codecs",
    )
    + ("locale", "decimal", "socket", "re", "encodings", "fnmatch", "glob", "atexit", "threading")
)


class NamedRoot:
    """A name that code uses, from which objects are reached.

    Args:
        kind: what it is, such as ``module global``.
        owner: the module, class or function that it belongs to, for ids.
        name: its name, as findings show it.
        file: the file that defines it.
        scopes: names of the classes and functions around its definition.
        variable: its name within them.
    """

    __slots__ = ("file", "kind", "name", "owner", "scopes", "variable")

    def __init__(
        self, kind: str, owner: str, name: str, file: Any, scopes: list[str], variable: str
    ) -> None:
        self.kind, self.owner, self.name = kind, owner, name
        self.file, self.scopes, self.variable = file, scopes, variable


class FoundNode:
    """Contents that were found, and the way to them: a root, or a step from another node."""

    __slots__ = ("contents", "naming", "parent", "root", "step")

    def __init__(self, contents: Any, parent: Any, step: str, root: Any, naming: Any) -> None:
        self.contents, self.parent, self.step = contents, parent, step
        self.root, self.naming = root, naming

    def name(self) -> str:
        """Return the name of what holds the contents."""
        if self.root is not None:
            return str(self.root.name)
        return f"{self.parent.name()}{self.step}" if self.parent is not None else ""

    def origin(self) -> Any:
        """Return the root that the way begins at."""
        node = self
        while node.root is None and node.parent is not None:
            node = node.parent
        return node.root


class Walk:
    """Everything that can be reached and can change, as it was when `run` was called.

    Args:
        root: the input root, an absolute path.
        number: the observer's signal.

    Attributes:
        names: the definitions in the tool's files.
        nodes: the contents that were found.
        modules: names of the tool's modules.
        reason: why the walk ended early; "" if it did not.
    """

    def __init__(self, root: str, number: int) -> None:
        self.names = rpw_names.Definitions(root)
        self.nodes: list[FoundNode] = []
        self.modules: set[str] = set()
        self.reason = ""
        self._number = number
        self._loaded: set[str] = set()
        self._by_object: dict[int, FoundNode] = {}
        self._seen: dict[int, Any] = {}
        self._queue: collections.deque[Any] = collections.deque()
        self._generators: list[Any] = []
        self._deadline = 0.0
        self._count = 0

    def run(self) -> int:
        """Find everything; return the number of objects that were seen."""
        self._deadline = time.thread_time() + _SECONDS
        own = self.own_modules()
        self._loaded = set(sys.modules)
        self.modules = set(own)
        for name in own:
            self._add_module(name, sys.modules[name])
        self._add_frames()
        self._add_process()
        self._walk()
        for name, module in list(sys.modules.items()):
            if name not in self.modules and rpw_text.is_module(module):
                self._add_foreign(name, module)
        self._walk()
        return len(self._seen)

    def loaded_modules(self) -> list[str]:
        """Return the names of modules that were loaded since, and that are not of this Python."""
        found = self.own_modules()
        loaded: list[tuple[str, Any]] = list(sys.modules.items())
        for name, module in loaded:
            if name in self._loaded or not rpw_text.is_module(module):
                continue
            file = rpw_text.names_of(module).get("__file__")
            if type(file) is str and not file.startswith((sys.prefix, sys.base_prefix)):
                found.append(name)
        return list(dict.fromkeys(found))

    def own_modules(self) -> list[str]:
        """Return the names of the tool's modules, those first that other ones import least."""
        found = []
        loaded: list[tuple[str, Any]] = list(sys.modules.items())
        for name, module in loaded:
            if not rpw_text.is_module(module):  # other objects may stand there
                continue
            file = rpw_text.names_of(module).get("__file__")
            if name == "__main__" or (type(file) is str and self.names.is_inside(file)):
                found.append(name)
        return found

    def node_of(self, value: Any) -> FoundNode | None:
        """Return what was found of an object; None if it was not found."""
        return self._by_object.get(id(value))

    # --- roots ---

    def _add_module(self, name: str, module: Any) -> None:
        contents = rpw_contents.ModuleGlobals(module)
        file = rpw_text.names_of(module).get("__file__")
        node = self._add(module, contents, None, "", None, ("module global", name, file))
        imported = self.names.imported(file)
        own: list[Any] = []
        others: list[Any] = []
        for key, value in contents.saved.items():
            (others if key in imported else own).append((key, value))
        for key, value in (*own, *others):
            self._push(value, node, "", NamedRoot("module global", name, key, file, [], key))

    def _add_frames(self) -> None:
        for frame, code in self.frames():
            self._add_locals(frame, code)

    def frames(self) -> Iterator[tuple[Any, Any]]:
        """Yield the running functions of the tool with their code, and generators that wait."""
        for first in list(sys._current_frames().values()):
            frame: Any = first
            while frame is not None:
                code = frame.f_code
                if self.names.is_inside(code.co_filename) and code.co_name != "<module>":
                    yield frame, code
                frame = frame.f_back
        for value in self._generators:
            frame = getattr(value, "gi_frame", None) or getattr(value, "cr_frame", None)
            if frame is not None:
                yield frame, frame.f_code

    def _add_locals(self, frame: Any, code: Any) -> None:
        contents = rpw_contents.Locals(frame)
        scopes = scopes_of(getattr(code, "co_qualname", code.co_name))
        file = code.co_filename
        naming = ("local variable", code.co_name, file, scopes)
        node = self._add(frame, contents, None, "", None, naming)
        for key, value in contents.saved.items():
            name = f"{code.co_name}.{key}"
            self._push(value, node, "", NamedRoot("local variable", "", name, file, scopes, key))

    def _add_process(self) -> None:
        environment = rpw_process.Variables(None)
        self._add(environment, environment, None, "", None, ("environment", "", None))
        settings = rpw_process.Settings(self._number)
        self._add(settings, settings, None, "", None, ("setting", "", None))
        for name in ("path", "argv", "meta_path", "path_hooks", "stdout", "stderr", "stdin"):
            root = NamedRoot("module global", "sys", f"sys.{name}", None, [], "")
            self._push(getattr(sys, name), None, "", root)

    def _add_foreign(self, name: str, module: Any) -> None:
        """Add a module that is not the tool's: its names, and its containers if it may have state."""
        if self._is_over():
            return
        contents = rpw_contents.ModuleGlobals(module)
        node = self._add(module, contents, None, "", None, ("module global", name, None))
        is_library = name.partition(".")[0] in _library()
        for key, value in contents.saved.items():
            kind = type(value)
            if name.partition(".")[0] in _STATEFUL or not is_library:
                root = NamedRoot("module global", name, f"{name}.{key}", None, [], "")
                if not (issubclass(kind, type) or rpw_text.is_module(value)) or not is_library:
                    self._push(value, node, "", root)
            elif kind is type and name == value.__module__ and not self._is_over():
                self._add_class(value)

    # --- the walk ---

    def _push(self, value: Any, parent: Any, step: str, root: Any = None) -> None:
        if not rpw_text.is_plain(value):
            self._queue.append((value, parent, step, root))

    def _walk(self) -> None:
        while self._queue:
            if self._is_over():
                self._queue.clear()
                return
            value, parent, step, root = self._queue.popleft()
            if id(value) in self._seen:
                continue
            self._seen[id(value)] = value
            try:
                self._visit(value, parent, step, root)
            except Exception:
                continue

    def _is_over(self) -> bool:
        if self.reason:
            return True
        self._count += 1
        if len(self._seen) > _MOST_OBJECTS:
            self.reason = f"there are more than {_MOST_OBJECTS:,} objects"
        elif self._count % 64 == 0 and time.thread_time() > self._deadline:
            self.reason = f"it took more than {_SECONDS:g} s"
        return bool(self.reason)

    def _add(
        self, value: Any, contents: Any, parent: Any, step: str, root: Any, naming: Any = None
    ) -> FoundNode:
        node = FoundNode(contents, parent, step, root, naming)
        self.nodes.append(node)
        self._by_object[id(value)] = node
        self._seen[id(value)] = value
        return node

    def _visit(self, value: Any, parent: Any, step: str, root: Any) -> None:
        kind = type(value)
        if kind in {tuple, frozenset}:
            node = FoundNode(None, parent, step, root, None)
            for number, each in enumerate(value):
                self._push(each, node, f"[{number}]")
        elif issubclass(kind, type):
            self._visit_class(value)
        elif rpw_text.is_module(value):
            pass
        elif kind in {types.FunctionType, types.MethodType, staticmethod, classmethod, property}:
            self._visit_callable(value, parent, step, root)
        elif kind in {types.GeneratorType, types.CoroutineType, types.AsyncGeneratorType}:
            self._visit_generator(value, parent, step, root)
        else:
            self._visit_object(value, parent, step, root)

    def _visit_object(self, value: Any, parent: Any, step: str, root: Any) -> None:
        contents = rpw_objects.of(value)
        way = FoundNode(None, parent, step, root, None)
        if contents is not None:
            way = self._add(value, contents, parent, step, root)
            if hasattr(contents, "own") and parent is not None and parent.contents.is_keyed:
                contents.own(parent.contents, root.variable if root is not None else step[1:])
            for label, each in contents.children():
                self._push(each, way, label)
        self._push(type(value), way, "")
        names = rpw_contents.dict_of(value)
        has_slots = bool(rpw_contents.slots_of(type(value)))
        if (names is not None and type(value).__module__ != "builtins") or has_slots:
            attributes = rpw_contents.Attributes(value)
            node = FoundNode(
                attributes, way.parent, way.step, way.root, ("attributes", type(value))
            )
            self.nodes.append(node)
            if names is not None:
                self._seen[id(names)] = names
            for label, each in attributes.children():
                self._push(each, node, label)
        elif contents is None:
            self._visit_unknown(value, way)

    def _visit_unknown(self, value: Any, way: FoundNode) -> None:
        """Go on with what an object of an unknown kind holds."""
        is_local = any(each.__name__ == "_local" for each in type(value).__mro__)
        for number, each in enumerate(rpw_objects.referents(value)):
            # The variables of a thread are in a dict of dicts, by thread.
            inner = list(each.values()) if is_local and type(each) is dict else []
            for found in [one for one in inner if type(one) is dict] or [each]:
                self._push(found, way, "" if is_local else f".held[{number}]")
        if type(value).__name__ == "partial":
            self._push(value.func, way, ".func")

    def _visit_class(self, value: type) -> None:
        if value.__module__ in self.modules:
            self._add_class(value)

    def _add_class(self, value: type) -> None:
        contents = rpw_contents.ClassAttributes(value)
        file = self.names.file_of(value.__module__)
        scopes = scopes_of(value.__qualname__)
        naming = ("class attribute", value.__module__, file, scopes, value.__qualname__)
        node = self._add(value, contents, None, "", None, naming)
        if value.__module__ not in self.modules:
            return
        for key, each in contents.saved.items():
            name = f"{value.__qualname__}.{key}"
            root = NamedRoot("class attribute", value.__module__, name, file, scopes, key)
            self._push(each, node, "", root)
        for base in (*value.__bases__, type(value)):
            self._push(base, node, "")

    def _visit_callable(self, value: Any, parent: Any, step: str, root: Any) -> None:
        way = FoundNode(None, parent, step, root, None)
        for name in ("__func__", "__self__", "fget", "fset", "__wrapped__"):
            inner = getattr(value, name, None)
            if inner is not None:
                self._push(inner, way, "" if name != "__self__" else ".__self__")
        if type(value) is not types.FunctionType:
            return
        file, qualified = value.__code__.co_filename, value.__qualname__
        scopes = scopes_of(qualified)
        if value.__closure__:
            cells = rpw_contents.Cells(value)
            naming = ("closure", value.__module__, file, scopes[:-1], qualified)
            node = self._add(cells, cells, way, "", None, naming)
            for key, each in cells.saved.items():
                name = f"{readable(qualified)}.{key}"
                self._push(
                    each,
                    node,
                    "",
                    NamedRoot("closure", value.__module__, name, file, scopes[:-1], key),
                )
        for key, each in _defaults(value):
            name = f"{readable(qualified)}({key})"
            found = NamedRoot("function default", value.__module__, name, file, scopes, key)
            self._push(each, way, "", found)
        attributes = rpw_contents.Namespace(value)
        naming = ("function attribute", value.__module__, file, scopes, qualified)
        node = self._add(attributes, attributes, way, "", None, naming)
        for label, each in attributes.children():
            name = f"{readable(qualified)}{label}"
            found = NamedRoot("function attribute", value.__module__, name, file, scopes, "")
            self._push(each, node, "", found)

    def _visit_generator(self, value: Any, parent: Any, step: str, root: Any) -> None:
        frame = getattr(value, "gi_frame", None) or getattr(value, "cr_frame", None)
        if frame is not None:
            self._generators.append(value)
            way = FoundNode(None, parent, step, root, None)
            scopes = scopes_of(value.__qualname__)
            file = frame.f_code.co_filename
            naming = ("local variable", frame.f_code.co_name, file, scopes)
            contents = rpw_contents.Locals(frame)
            node = self._add(frame, contents, way, "", None, naming)
            for key, each in contents.saved.items():
                name = f"{frame.f_code.co_name}.{key}"
                self._push(each, node, "", NamedRoot("local variable", "", name, file, scopes, key))


def _defaults(function: Any) -> Iterator[tuple[str, Any]]:
    code = function.__code__
    values = function.__defaults__ or ()
    names = code.co_varnames[: code.co_argcount][-len(values) :] if values else ()
    yield from zip(names, values)
    yield from (function.__kwdefaults__ or {}).items()


def scopes_of(qualified: str) -> list[str]:
    """Return the names in a qualified name."""
    return [each for each in qualified.split(".") if each != "<locals>"]


def readable(qualified: str) -> str:
    """Return a qualified name as findings show it."""
    return qualified.replace(".<locals>", "")


def _library() -> frozenset[str]:
    known = getattr(sys, "stdlib_module_names", None)
    if known is None:
        folder = os.path.dirname(os.__file__)
        known = {each.partition(".")[0] for each in os.listdir(folder)}
        known |= set(sys.builtin_module_names)
    return frozenset(known)
