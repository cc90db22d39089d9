"""The small changes that can be made to a module, found in its syntax tree and made in its text.

The text around a change stays as it is, so that line numbers and what a survivor looks like stay true.
"""

from __future__ import annotations

import ast
import itertools
import random
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path


class Kind(StrEnum):
    """What is changed."""

    COMPARISON = "comparison"
    CONDITION = "condition"
    CONSTANT = "constant"
    STATEMENT = "dropped statement"
    LOCK = "dropped lock"
    HANDLER = "except clause"
    CALL = "removed call"
    RETURN = "returned None"


#: How often each kind is chosen, compared with the others.
WEIGHTS = {
    Kind.COMPARISON: 4,
    Kind.CONDITION: 5,
    Kind.CONSTANT: 3,
    Kind.STATEMENT: 6,
    Kind.LOCK: 2,
    Kind.HANDLER: 3,
    Kind.CALL: 1,
    Kind.RETURN: 3,
}
_COMPARISONS: dict[type[ast.cmpop], tuple[str, str]] = {
    ast.Lt: (r"<", "<="),
    ast.LtE: (r"<=", "<"),
    ast.Gt: (r">", ">="),
    ast.GtE: (r">=", ">"),
    ast.Eq: (r"==", "!="),
    ast.NotEq: (r"!=", "=="),
    ast.Is: (r"\bis\b", "is not"),
    ast.IsNot: (r"\bis\s+not\b", "is"),
    ast.In: (r"\bin\b", "not in"),
    ast.NotIn: (r"\bnot\s+in\b", "in"),
}
_LOCK = re.compile(r"(\b|_)(lock|changed|sweeping|cleaning)$")
_UNRELATED = "ZeroDivisionError"
_NO_LOCK = "__import__('contextlib').nullcontext()"
_TRANSPARENT = frozenset(
    {"abs", "bool", "frozenset", "list", "max", "min", "set", "sorted", "tuple"}
)


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Change:
    """One change of one module.

    Attributes:
        module: its path in the checkout.
        line: where the change begins.
        start: offset in the file, in bytes.
        end: offset behind what is replaced.
        old: what is replaced.
        new: what stands there instead.
        kind: what sort of change this is.
    """

    module: str
    line: int
    start: int
    end: int
    old: str
    new: str
    kind: Kind

    def apply(self, content: bytes) -> bytes:
        """Return the module's content with the change made."""
        return content[: self.start] + self.new.encode() + content[self.end :]

    @property
    def description(self) -> str:
        """The place and both texts, on one line."""
        old, new = (" ".join(text.split()) for text in (self.old, self.new))
        return f"{self.module}:{self.line}: {self.kind}: {old[:100]} -> {new[:100]}"


class _Finder(ast.NodeVisitor):
    """Collects the changes of one module."""

    def __init__(self, module: str, content: bytes) -> None:
        self.changes: list[Change] = []
        self._module = module
        self._content = content
        self._starts = [0]
        for line in content.splitlines(keepends=True):
            self._starts.append(self._starts[-1] + len(line))

    def visit_Compare(self, node: ast.Compare) -> None:
        self.generic_visit(node)
        if len(node.ops) != 1:
            return
        pattern, new = _COMPARISONS[type(node.ops[0])]
        start, end = self._end(node.left), self._start(node.comparators[0])
        found = re.search(pattern, self._content[start:end].decode())
        if found is not None:
            at = start + found.start(), start + found.end()
            self._add(Kind.COMPARISON, *at, new, within=node)

    def visit_BoolOp(self, node: ast.BoolOp) -> None:
        self.generic_visit(node)
        old, new = ("and", "or") if isinstance(node.op, ast.And) else ("or", "and")
        start, end = self._end(node.values[0]), self._start(node.values[1])
        found = re.search(rf"\b{old}\b", self._content[start:end].decode())
        if found is not None:
            at = start + found.start(), start + found.end()
            self._add(Kind.CONDITION, *at, new, within=node)

    def visit_UnaryOp(self, node: ast.UnaryOp) -> None:
        self.generic_visit(node)
        if isinstance(node.op, ast.Not):
            self._replace(Kind.CONDITION, node, f"bool({self._text(node.operand)})")

    def visit_If(self, node: ast.If) -> None:
        if _is_for_type_checkers(node.test):
            return
        self._negate(node.test)
        self.generic_visit(node)

    def visit_While(self, node: ast.While) -> None:
        if not isinstance(node.test, ast.Constant):
            self._negate(node.test)
        self.generic_visit(node)

    def visit_IfExp(self, node: ast.IfExp) -> None:
        self._negate(node.test)
        self.generic_visit(node)

    def visit_Constant(self, node: ast.Constant) -> None:
        if isinstance(node.value, bool):
            self._replace(Kind.CONSTANT, node, str(not node.value))
        elif isinstance(node.value, int):
            for value in (node.value + 1, node.value - 1):
                self._replace(Kind.CONSTANT, node, f"({value})")

    def visit_Expr(self, node: ast.Expr) -> None:
        if isinstance(node.value, ast.Constant):
            return  # a docstring
        if isinstance(node.value, ast.Call):
            self._replace(Kind.STATEMENT, node, "pass")
        self.generic_visit(node)

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        self._replace(Kind.STATEMENT, node, "pass")
        self.generic_visit(node)

    def visit_Assign(self, node: ast.Assign) -> None:
        if all(isinstance(each, ast.Attribute | ast.Subscript) for each in node.targets):
            self._replace(Kind.STATEMENT, node, "pass")
        self.generic_visit(node)

    def visit_Delete(self, node: ast.Delete) -> None:
        self._replace(Kind.STATEMENT, node, "pass")

    def visit_Raise(self, node: ast.Raise) -> None:
        self._replace(Kind.STATEMENT, node, "pass")
        self.generic_visit(node)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        if node.value is not None:  # the annotation is for type checkers
            self.visit(node.value)

    def visit_arg(self, node: ast.arg) -> None:
        """Skip the annotation."""

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        if any(
            isinstance(each, ast.Name) and each.id == "overload" for each in node.decorator_list
        ):
            return
        for each in (node.args, *node.body):
            self.visit(each)

    def visit_With(self, node: ast.With) -> None:
        for item in node.items:
            if _LOCK.search(self._text(item.context_expr)) and item.optional_vars is None:
                self._replace(Kind.LOCK, item.context_expr, _NO_LOCK)
        self.generic_visit(node)

    def visit_ExceptHandler(self, node: ast.ExceptHandler) -> None:
        if node.type is not None:
            self._replace(Kind.HANDLER, node.type, _UNRELATED)
        for each in node.body:
            self.visit(each)

    def visit_Call(self, node: ast.Call) -> None:
        name = self._text(node.func)
        if name in {"contextlib.suppress", "suppress"}:
            self._replace(Kind.HANDLER, node, f"{name}({_UNRELATED})")
            return
        if (
            name in _TRANSPARENT
            and node.args
            and not isinstance(node.args[0], ast.Starred | ast.GeneratorExp)
        ):
            self._replace(Kind.CALL, node, f"({self._text(node.args[0])})")
        self.generic_visit(node)

    def visit_Return(self, node: ast.Return) -> None:
        if node.value is not None and not _is_none(node.value):
            self._replace(Kind.RETURN, node, "return None")
        self.generic_visit(node)

    def _negate(self, test: ast.expr) -> None:
        if not isinstance(test, ast.UnaryOp | ast.Compare):  # these have changes that amount to it
            self._replace(Kind.CONDITION, test, f"(not ({self._text(test)}))")

    def _replace(self, kind: Kind, node: ast.AST, new: str) -> None:
        self._add(kind, self._start(node), self._end(node), new)

    def _add(
        self, kind: Kind, start: int, end: int, new: str, within: ast.AST | None = None
    ) -> None:
        """Add a change of the bytes from ``start`` to ``end``; show it in the whole of ``within``."""
        old = self._content[start:end].decode()
        line = self._content.count(b"\n", 0, start) + 1
        change = Change(
            module=self._module, line=line, start=start, end=end, old=old, new=new, kind=kind
        )
        if within is not None:
            head = self._content[self._start(within) : start].decode()
            tail = self._content[end : self._end(within)].decode()
            change = Change(
                module=self._module,
                line=line,
                start=self._start(within),
                end=self._end(within),
                old=head + old + tail,
                new=head + new + tail,
                kind=kind,
            )
        self.changes.append(change)

    def _start(self, node: ast.AST) -> int:
        return self._starts[node.lineno - 1] + node.col_offset  # type: ignore[attr-defined]

    def _end(self, node: ast.AST) -> int:
        return self._starts[node.end_lineno - 1] + node.end_col_offset  # type: ignore[attr-defined]

    def _text(self, node: ast.AST) -> str:
        return self._content[self._start(node) : self._end(node)].decode()


def _is_for_type_checkers(test: ast.expr) -> bool:
    return isinstance(test, ast.Name) and test.id == "TYPE_CHECKING"


def _is_none(value: ast.expr) -> bool:
    return isinstance(value, ast.Constant) and value.value is None


def changes_of(module: str, content: bytes) -> list[Change]:
    """Return every change that can be made to a module; a few leave no program (see `choose`)."""
    finder = _Finder(module, content)
    finder.visit(ast.parse(content))
    return finder.changes


def _compiles(content: bytes) -> bool:
    try:
        compile(content, "changed", "exec", dont_inherit=True)
    except SyntaxError:
        return False
    return True


def choose(
    root: Path,
    modules: Iterable[str],
    *,
    seed: int,
    count: int,
    is_wanted: Callable[[Change], bool] = lambda _: True,
) -> list[Change]:
    """Choose ``count`` changes at random; the same seed and code choose the same ones.

    The kind is drawn first, by `WEIGHTS`, then one of its changes in all ``modules``. What cannot be
    compiled is drawn again.
    """
    contents = {module: (root / module).read_bytes() for module in sorted(modules)}
    by_kind: dict[Kind, list[Change]] = defaultdict(list)
    for module, content in contents.items():
        for change in filter(is_wanted, changes_of(module, content)):
            by_kind[change.kind].append(change)
    drawn = _drawn(by_kind, random.Random(seed))
    usable = (each for each in drawn if _compiles(each.apply(contents[each.module])))
    return list(itertools.islice(usable, count))


def _drawn(by_kind: dict[Kind, list[Change]], generator: random.Random) -> Iterator[Change]:
    while kinds := [kind for kind in Kind if by_kind[kind]]:
        (kind,) = generator.choices(kinds, [WEIGHTS[each] for each in kinds])
        yield by_kind[kind].pop(generator.randrange(len(by_kind[kind])))


def _compiles(content: bytes) -> bool:
    try:
        compile(content, "changed", "exec", dont_inherit=True)
    except SyntaxError:
        return False
    return True
