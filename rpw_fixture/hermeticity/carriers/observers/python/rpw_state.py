"""The state of the tool at the mark, what has changed since, and putting it back."""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from rpw_fixture.hermeticity.carriers.observers.python import (
        rpw_contents,
        rpw_process,
        rpw_walk,
    )

_MOST_CHANGES = 1000


class ChangedPlace:
    """A place that changed: contents, or one name in them."""

    __slots__ = ("key", "node")

    def __init__(self, node: Any, key: Any) -> None:
        self.node, self.key = node, key


class ToolState:
    """The state at the mark, and what has changed since.

    Args:
        root: the input root, an absolute path.
        number: the observer's signal.
    """

    def __init__(self, root: str, number: int) -> None:
        self.walk = rpw_walk.Walk(root, number)
        self.names = self.walk.names
        self.found: dict[str, ChangedPlace] = {}

    def mark(self) -> dict[str, Any]:
        """Remember everything that can be reached."""
        seen = self.walk.run()
        reason = self.walk.reason
        return {"ok": True, "seen": seen, "is_cut": bool(reason), "reason": reason}

    def changes(self, lines: dict[str, str]) -> dict[str, Any]:
        """Return what has changed; ``lines`` has the changing lines, by id."""
        self.found = {}
        found = []
        running = {id(each) for each, _ in self.walk.frames()}
        for node in self.walk.nodes:
            if (
                isinstance(node.contents, rpw_contents.Locals)
                and id(node.contents.value) not in running
            ):
                continue
            for key in _changed_keys(node):
                change = ChangedPlace(node, key)
                shown = self._shown(change)
                if shown is None or shown["id"] in self.found:
                    continue
                self.found[shown["id"]] = change
                shown["changed_at"] = lines.get(shown["id"], "")
                found.append(shown)
            if len(found) >= _MOST_CHANGES:
                self.walk.reason = self.walk.reason or f"more than {_MOST_CHANGES} places changed"
                break
        loaded = (each for each in self.walk.loaded_modules() if each not in self.walk.modules)
        found.extend(self._loaded(each) for each in loaded)
        return {"changes": found, "is_cut": bool(self.walk.reason), "reason": self.walk.reason}

    def restore(self, ids: list[str]) -> dict[str, Any]:
        """Put places back to what they were at the mark."""
        restored, failed = [], {}
        for each in ids:
            change = self.found.get(each)
            try:
                if change is None:
                    failed[each] = "it is not known"
                    continue
                if isinstance(change.node, str):
                    sys.modules.pop(change.node, None)
                elif change.key is None:
                    change.node.contents.restore()
                else:
                    change.node.contents.restore(change.key)
                restored.append(each)
            except BaseException as error:
                failed[each] = f"{type(error).__name__}: {error}"[:100]
        return {"restored": restored, "failed": failed}

    def changes_of(self, wanted: set[str]) -> dict[str, ChangedPlace]:
        """Return the places with these ids, whether they have changed or not."""
        found = {}
        for node in self.walk.nodes:
            contents = node.contents
            keys = [None] if not contents.is_keyed else [*contents.saved, *_missing(node, wanted)]
            for key in keys:
                change = ChangedPlace(node, key)
                identity = self._identity(change)
                if identity in wanted and identity not in found:
                    found[identity] = change
        return found

    def old_entries(self, value: Any) -> Any:
        """Return the entries that a container had at the mark; None if that is not known."""
        node = self.walk.node_of(value)
        if node is None or node.contents.is_keyed:
            return None
        return getattr(node.contents, "saved", None) if hasattr(node.contents, "is_dict") else None

    # --- what is shown ---

    def _identity(self, change: ChangedPlace) -> str:
        kind, owner, name, _ = self._described(change)
        # A name that is given another value is not the same place as the content of the old value.
        return f"{kind}|{owner}|{name}{'' if change.key is None else '='}"

    def _described(self, change: ChangedPlace) -> tuple[str, str, str, Any]:
        """Return kind, owner, name and a function that returns the place."""
        node, key = change.node, change.key
        naming = node.naming
        if key is None or naming is None or naming[0] == "attributes":
            return self._of_way(node, key)
        kind, owner, file = naming[:3]
        if kind == "environment":
            return kind, "", key, lambda: ""
        if kind == "setting":
            return rpw_process.kind_of(key), "", key, lambda: ""
        scopes = list(naming[3]) if len(naming) > 3 else []
        if kind == "module global":
            name = key if owner in self.walk.modules else f"{owner}.{key}"
        else:
            prefix = naming[4] if len(naming) > 4 else owner
            name = f"{rpw_walk.readable(prefix)}.{key}"
        return kind, owner, name, lambda: self.names.place(file, scopes, key)

    def _of_way(self, node: Any, key: Any) -> tuple[str, str, str, Any]:
        root = node.origin()
        name = self.names.shortened(node.name())
        if root is None:
            return "object", "", f"{name}.{key}" if key else name, lambda: ""

        def place() -> str:
            found = self._attribute_place(node, key)
            return found or self.names.place(root.file, root.scopes, root.variable)

        return root.kind, root.owner, f"{name}.{key}" if key is not None else name, place

    def _attribute_place(self, node: Any, key: Any) -> str:
        """Return where the class of the tool sets the attribute that is nearest to a node."""
        while key is None and node.parent is not None and node.root is None:
            is_of_instance = (
                node.parent.naming is not None and node.parent.naming[0] == "attributes"
            )
            key = node.step[1:] if is_of_instance and node.step.startswith(".") else None
            node = node.parent
        if key is None or node.naming is None or node.naming[0] != "attributes":
            return ""
        cls = node.naming[1]
        scopes = rpw_walk.scopes_of(cls.__qualname__)
        return str(self.names.attribute(self.names.file_of(cls.__module__), scopes, key))

    def _shown(self, change: ChangedPlace) -> dict[str, Any] | None:
        kind, _, name, place = self._described(change)
        contents = change.node.contents
        try:
            if change.key is None:
                before, after = contents.texts(self.old_entries)
            else:
                before, after = contents.texts(change.key, self.old_entries)
        except Exception:
            before, after = "", ""
        return {
            "id": self._identity(change),
            "kind": kind,
            "name": name,
            "place": place(),
            "before": self.names.shortened(before),
            "after": self.names.shortened(after),
            "can_restore": contents.can_restore,
        }

    def _loaded(self, name: str) -> dict[str, Any]:
        """Return the change that a module of the tool was loaded since the mark."""
        identity = f"module|{name}"
        self.found[identity] = ChangedPlace(name, None)
        file = self.names.relative(self.names.file_of(name)) or ""
        return {
            "id": identity,
            "kind": "module global",
            "name": f"sys.modules[{name!r}]",
            "place": f"{file}:1" if file else "",
            "before": "absent",
            "after": f"<module {name}>",
            "can_restore": True,
        }


def _changed_keys(node: Any) -> Iterator[Any]:
    """Yield the names that changed in a namespace, or None if contents changed as a whole."""
    try:
        if node.contents.is_keyed:
            yield from node.contents.changed()
        elif node.contents.is_changed():
            yield None
    except Exception:
        return


def _missing(node: Any, wanted: set[str]) -> list[str]:
    """Return names that wanted ids end with and that the namespace had not at the mark."""
    known = node.contents.saved
    last = {each.rpartition("|")[2].rpartition(".")[2].rstrip("=") for each in wanted}
    return [each for each in last if each not in known]
