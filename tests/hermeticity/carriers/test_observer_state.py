"""State that the observer of Python workers finds, names and puts back, on a small tool in this process.

Only the tool's modules and those that a test names are walked through; a whole process takes a second.
"""

from __future__ import annotations

import builtins
import decimal
import functools
import locale
import os
import signal
import sys
import threading
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from .leaky_workers import LEAKY, MAIN, Leaky
from .observer_parts import loaded

SIGNAL = 35
IN_MEMORY = ("module global", "class attribute", "closure", "function default", "local variable")
FOUND = [
    each
    for each in LEAKY
    if each.main == MAIN and not each.files and each.has_line
    if each.kind in {*IN_MEMORY, "function attribute"}
]


class Tool:
    """A module of a tool, and the observer's state of it.

    The parts are loaded anew, because their ``sys`` is replaced.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.parts = loaded()
        self.sys: Any = SimpleNamespace(
            modules={},
            _current_frames=dict,
            prefix="/usr/lib/python",
            base_prefix="/usr/lib/python",
            path=list(sys.path),
            argv=["worker"],
            meta_path=[],
            path_hooks=[],
            stdout=None,
            stderr=None,
            stdin=None,
            stdlib_module_names=frozenset({"json", "os", "sys", "random", "logging"}),
        )
        for name in ("rpw_walk", "rpw_names", "rpw_state"):
            self.parts[name].sys = self.sys
        self.state = self.parts["rpw_state"].ToolState(str(root), SIGNAL)

    def load(self, source: str, name: str = "tool", folder: str = "tools") -> Any:
        """Run a module's source; the module."""
        path = self.root / folder / f"{name}.py"
        path.parent.mkdir(exist_ok=True)
        path.write_text(source)
        module = types.ModuleType(name)
        module.__file__ = str(path)
        self.sys.modules[name] = module
        exec(compile(source, str(path), "exec", dont_inherit=True), vars(module))
        return module

    def mark(self) -> dict[str, Any]:
        answer: dict[str, Any] = self.state.mark()
        return answer

    def changes(self, lines: dict[str, str] | None = None) -> dict[str, dict[str, Any]]:
        found = self.state.changes(lines or {})["changes"]
        assert len({each["id"] for each in found}) == len(found)
        return {each["name"]: each for each in found}

    def restore(self, *changes: dict[str, Any]) -> None:
        ids = [each["id"] for each in changes]
        assert self.state.restore(ids) == {"restored": ids, "failed": {}}


@pytest.fixture
def tool(tmp_path: Path) -> Tool:
    return Tool(tmp_path)


def marked(source: str) -> str:
    (line,) = [n for n, each in enumerate(source.splitlines(), 1) if each.endswith("# here")]
    return f"tools/tool.py:{line}"


@pytest.mark.parametrize("worker", FOUND, ids=str)
def test_state_of_the_tool_is_named_and_put_back(worker: Leaky, tool: Tool) -> None:
    source = f"import os, sys\n{worker.state}"
    module = tool.load(source)
    assert tool.mark() == {
        "ok": True,
        "seen": len(tool.state.walk._seen),
        "is_cut": False,
        "reason": "",
    }
    assert tool.changes() == {}
    first = module.work("one")
    changes = tool.changes()
    assert worker.name in changes
    change = changes[worker.name]
    assert (change["kind"], change["place"]) == (worker.kind, marked(source))
    assert change["before"] != change["after"]
    assert change["can_restore"]
    assert change["changed_at"] == ""
    tool.restore(change)
    if worker.name not in {"_numbers", "_base", "_context"}:  # these count, or are replaced
        assert worker.name not in tool.changes()
    assert module.work("one") == first


# --- the process ---


@pytest.fixture
def process(tmp_path: Path) -> Iterator[None]:
    """Put back what tests change, should the observer not do so."""
    folder, umask, handler = Path.cwd(), os.umask(0o022), signal.getsignal(signal.SIGUSR2)
    precision, limit = decimal.getcontext().prec, sys.getrecursionlimit()
    character = locale.setlocale(locale.LC_CTYPE)
    yield
    os.chdir(folder)
    os.umask(umask)
    signal.signal(signal.SIGUSR2, handler)
    decimal.getcontext().prec = precision
    sys.setrecursionlimit(limit)
    locale.setlocale(locale.LC_CTYPE, character)
    for name in ("RPW_TEST_NEW", "RPW_TEST_OLD"):
        os.environ.pop(name, None)


SETTINGS: dict[str, tuple[str, Callable[[], object], str]] = {
    "working directory": ("working directory", lambda: os.chdir("/"), "'/'"),
    "umask": ("umask", lambda: os.umask(0o077), "'0077'"),
    "recursion limit": ("recursion limit", lambda: sys.setrecursionlimit(4321), "4321"),
    "locale LC_CTYPE": ("locale", lambda: locale.setlocale(locale.LC_CTYPE, "C"), "'C'"),
    "decimal context prec": ("decimal", lambda: setattr(decimal.getcontext(), "prec", 7), "7"),
    "handler of signal 12": (
        "signal handler",
        lambda: signal.signal(signal.SIGUSR2, signal.SIG_IGN),
        "<Handlers>",
    ),
}


@pytest.mark.usefixtures("process")
@pytest.mark.parametrize("name", SETTINGS)
def test_a_setting_of_the_process_is_put_back(name: str, tool: Tool) -> None:
    kind, change, after = SETTINGS[name]
    os.umask(0o027)
    signal.signal(signal.SIGUSR2, signal.SIG_DFL)
    locale.setlocale(locale.LC_CTYPE, "C.UTF-8")
    tool.sys.modules |= {each: sys.modules[each] for each in ("_locale", "decimal", "_signal")}
    tool.parts["rpw_process"].sys = SimpleNamespace(
        modules=tool.sys.modules,
        getrecursionlimit=sys.getrecursionlimit,
        setrecursionlimit=sys.setrecursionlimit,
    )
    tool.mark()
    change()
    (found,) = [each for each in tool.changes().values() if each["kind"] != "module global"]
    assert (found["kind"], found["name"], found["place"]) == (kind, name, "")
    if after != "<Handlers>":
        assert found["after"] == after
        assert found["before"] != after
    tool.restore(found)
    assert [each for each in tool.changes().values() if each["kind"] != "module global"] == []


@pytest.mark.usefixtures("process")
def test_what_the_tool_has_not_loaded_has_no_settings(tool: Tool) -> None:
    process = tool.parts["rpw_process"]
    process.sys = SimpleNamespace(
        modules={},
        getrecursionlimit=sys.getrecursionlimit,
        setrecursionlimit=sys.setrecursionlimit,
    )
    always = {"working directory", "umask", "recursion limit"}
    assert set(process.Settings(SIGNAL).read()) == always
    process.sys.modules["_signal"] = signal
    handlers = set(process.Settings(12).read()) - always
    assert handlers == {f"handler of signal {n}" for n in range(1, 32) if n not in {9, 12, 19}}
    process.sys.modules = {"_decimal": decimal}
    names = ("prec", "rounding", "Emin", "Emax", "capitals", "clamp")
    assert set(process.Settings(SIGNAL).read()) - always == {f"decimal context {n}" for n in names}
    process.sys.modules = {"_locale": sys.modules["_locale"]}
    assert len(set(process.Settings(SIGNAL).read()) - always) == 5


def test_a_setting_that_can_not_be_read_is_left_out(
    tool: Tool, monkeypatch: pytest.MonkeyPatch
) -> None:
    process = tool.parts["rpw_process"]

    def gone() -> str:
        raise FileNotFoundError

    monkeypatch.setattr(process.os, "getcwd", gone)
    made = process.Settings(SIGNAL)
    assert "working directory" not in made.read()
    made.write("working directory", tool.parts["rpw_contents"].ABSENT)  # which is not possible


@pytest.mark.usefixtures("process")
def test_the_umask_is_read_in_both_ways(tool: Tool, monkeypatch: pytest.MonkeyPatch) -> None:
    process = tool.parts["rpw_process"]
    for mask in (0o022, 0o077, 0o002):
        os.umask(mask)
        assert process._umask() == f"{mask:04o}"
        with monkeypatch.context() as patch:
            patch.setattr(process.os.path, "exists", lambda _: False)
            assert process._umask() == f"{mask:04o}"
        assert os.umask(mask) == mask


@pytest.mark.usefixtures("process")
def test_environment_variables_are_put_back(tool: Tool, monkeypatch: pytest.MonkeyPatch) -> None:
    zones = []
    monkeypatch.setattr("time.tzset", lambda: zones.append(os.environ.get("TZ")))
    monkeypatch.setenv("RPW_TEST_OLD", "old")
    monkeypatch.setenv("RPW_TEST_GONE", "gone")
    monkeypatch.setenv("TZ", "UTC")
    tool.mark()
    os.environ |= {"RPW_TEST_NEW": "new", "RPW_TEST_OLD": "new", "TZ": "Asia/Tokyo"}
    del os.environ["RPW_TEST_GONE"]
    changes = tool.changes()
    assert {name: (each["before"], each["after"]) for name, each in changes.items()} == {
        "RPW_TEST_NEW": ("absent", "'new'"),
        "RPW_TEST_OLD": ("'old'", "'new'"),
        "RPW_TEST_GONE": ("'gone'", "absent"),
        "TZ": ("'UTC'", "'Asia/Tokyo'"),
    }
    assert {(each["kind"], each["place"]) for each in changes.values()} == {("environment", "")}
    tool.restore(*changes.values())
    assert tool.changes() == {}
    assert zones == ["UTC"]


@pytest.mark.parametrize("name", ["path", "argv", "meta_path", "path_hooks"])
def test_lists_of_the_interpreter_are_put_back(name: str, tool: Tool) -> None:
    tool.mark()
    getattr(tool.sys, name).append("poison")
    (change,) = tool.changes().values()
    assert (change["kind"], change["name"], change["place"]) == ("module global", f"sys.{name}", "")
    tool.restore(change)
    assert "poison" not in getattr(tool.sys, name)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("umask", "umask"),
        ("working directory", "working directory"),
        ("locale LC_TIME", "locale"),
        ("recursion limit", "recursion limit"),
        ("decimal context prec", "decimal"),
        ("handler of signal 3", "signal handler"),
    ],
)
def test_each_setting_has_a_kind(name: str, kind: str, tool: Tool) -> None:
    assert tool.parts["rpw_process"].kind_of(name) == kind


# --- other modules ---


def test_state_of_other_modules_is_found_after_that_of_the_tool(tool: Tool) -> None:
    module = tool.load("shared = []\n")
    other = types.ModuleType("other")
    other.kept, other.names, other.__file__ = module.shared, {}, "/elsewhere/other.py"
    stateful, library = types.ModuleType("logging"), types.ModuleType("json")
    stateful.handlers, stateful.name = [], 1
    library.cache, library.name, library.Kind = [], 1, type("Kind", (), {"__module__": "json"})
    library.Other = type("Other", (), {"__module__": "json.other"})
    tool.sys.modules |= {"other": other, "logging": stateful, "json": library, "none": None}
    tool.mark()
    for each in (module.shared, other.names, stateful.handlers, library.cache):
        each.update(a=1) if isinstance(each, dict) else each.append(1)
    stateful.name = library.name = library.Kind.new = library.Other.new = 2
    changes = tool.changes()
    assert set(changes) == {
        "shared",
        "other.names",
        "logging.handlers",
        "logging.name",
        "json.name",
        "Kind.new",
    }
    assert {each["place"] for name, each in changes.items() if name != "shared"} == {""}
    tool.restore(*changes.values())
    assert tool.changes() == {}
    assert (module.shared, other.names, library.name) == ([], {}, 1)
    assert library.cache == [1]  # containers of such modules are not looked at


def test_a_module_of_the_tool_that_is_loaded_later_is_unloaded(tool: Tool) -> None:
    tool.load("x = 1\n")
    tool.mark()
    tool.load("entries = []\n", "later")
    outside, python, odd = (types.ModuleType(name) for name in ("outside", "python", "odd"))
    outside.__file__, python.__file__ = "/elsewhere/outside.py", "/usr/lib/python/x.py"
    tool.sys.modules |= {"outside": outside, "python": python, "odd": odd, "none": None}
    changes = tool.changes()
    assert changes == {
        f"sys.modules['{name}']": {
            "id": f"module|{name}",
            "kind": "module global",
            "name": f"sys.modules['{name}']",
            "place": place,
            "before": "absent",
            "after": f"<module {name}>",
            "can_restore": True,
        }
        for name, place in (("later", "tools/later.py:1"), ("outside", ""))
    }
    tool.restore(*changes.values())
    assert tool.sys.modules.keys() == {"tool", "python", "odd", "none"}


def test_the_main_module_is_the_tool_s_wherever_it_is(tool: Tool) -> None:
    main = types.ModuleType("__main__")
    main.state = []
    tool.sys.modules["__main__"] = main
    tool.sys.modules["odd"] = types.SimpleNamespace(__file__=str(tool.root / "odd.py"))
    tool.mark()
    assert tool.state.walk.modules == {"__main__"}
    main.state.append(1)
    assert set(tool.changes()) == {"state"}


def test_what_several_names_lead_to_bears_the_name_of_the_file_that_defines_it(tool: Tool) -> None:
    defining = tool.load("entries = []\n")
    tool.sys.modules = {}
    importing = tool.load("own = []\n", "first")
    importing.entries = defining.entries
    (tool.root / "tools/first.py").write_text("from tool import entries\nown = entries\n")
    importing.own = defining.entries
    tool.sys.modules = {"first": importing, "tool": defining}
    tool.mark()
    defining.entries.append(1)
    assert set(tool.changes()) == {"own"}  # a name that it defines comes before an imported one


# --- the walk ---

SHAPES = """
class Node:
    def __init__(self, value):
        self.value = value  # the value
class Slotted:
    __slots__ = ("inner",)
    def __init__(self):
        self.inner = []
class Meta(type):
    seen = []
class Made(metaclass=Meta):
    pass
class Child(Node):
    shared = []
    @staticmethod
    def still(x=[]): return x
    @classmethod
    def of(cls, x=[]): return x
    @property
    def prop(self, x=[]): return x
    def method(self, *, key=[]): return key
def decorated(function):
    import functools
    @functools.wraps(function)
    def outer(): return function()
    return outer
@decorated
def hidden(first, second=[], third=[]): return second
def coroutine():
    async def wait():
        inner = []
        await other()
    return wait()
a_tuple = (1, [2], ([3],))
frozen = frozenset({(4, 5)})
nested = {"a": [{"b": []}]}
nodes = [Node([1]), Node(Node([2]))]
slotted = Slotted()
bound = Node([6]).__init__
bound_to = [7].append
made = Made()
child = Child([])
import functools
part = functools.partial(len, [8])
cycle = []
cycle.append(cycle)
"""


WAYS: dict[str, Callable[[Any], object]] = {
    "a_tuple[1]": lambda m: m.a_tuple[1].append(0),
    "a_tuple[2][0]": lambda m: m.a_tuple[2][0].append(0),
    "nested": lambda m: m.nested.clear(),
    "nested['a']": lambda m: m.nested["a"].append(0),
    "nested['a'][0]": lambda m: m.nested["a"][0].clear(),
    "nested['a'][0]['b']": lambda m: m.nested["a"][0]["b"].append(0),
    "nodes[0].value": lambda m: m.nodes[0].value.append(0),
    "nodes[1].value.value": lambda m: m.nodes[1].value.value.append(0),
    "slotted.inner": lambda m: m.slotted.inner.append(0),
    "bound.__self__.value": lambda m: m.bound.__self__.value.append(0),
    "Meta.seen": lambda m: m.Meta.seen.append(0),
    "Child.shared": lambda m: m.Child.shared.append(0),
    "Child.still(x)": lambda m: m.Child.still().append(0),
    "Child.of(x)": lambda m: m.Child.of().append(0),
    "Child.prop(x)": lambda m: m.Child.prop.fget(None).append(0),
    "Child.method(key)": lambda m: m.Child.method(None).append(0),
    "hidden(second)": lambda m: m.hidden.__wrapped__(1).append(0),
    "hidden(third)": lambda m: m.hidden.__wrapped__.__defaults__[1].append(0),
    "cycle": lambda m: m.cycle.append(0),
}


@pytest.mark.parametrize("name", WAYS)
def test_what_is_reachable_is_named_by_the_way_to_it(name: str, tool: Tool) -> None:
    module = tool.load(SHAPES)
    tool.mark()
    WAYS[name](module)
    changes = tool.changes()
    assert list(changes) == [name]
    if name.startswith("nodes"):
        line = next(n for n, each in enumerate(SHAPES.splitlines(), 1) if "# the value" in each)
        assert changes[name]["place"] == f"tools/tool.py:{line}"
    tool.restore(*changes.values())
    assert tool.changes() == {}


def test_the_walk_ends_at_a_number_of_objects(tool: Tool) -> None:
    walk = tool.parts["rpw_walk"]
    assert (walk._MOST_OBJECTS, walk._SECONDS) == (200_000, 1.5)
    walk._MOST_OBJECTS = 300
    module = tool.load("first = []\nmany = [[] for _ in range(2000)]\n")
    answer = tool.mark()
    assert answer["is_cut"]
    assert answer["reason"] == "there are more than 300 objects"
    assert answer["seen"] < 400
    module.first.append(1)
    assert set(tool.changes()) == {"first"}  # what is near is looked at
    assert tool.state.changes({})["reason"] == answer["reason"]


def test_the_walk_ends_after_some_processor_time(tool: Tool) -> None:
    walk = tool.parts["rpw_walk"]
    times = iter([10.0, *[11.5] * 3, 11.6])
    walk.time = SimpleNamespace(thread_time=lambda: next(times))
    tool.load("many = [[] for _ in range(2000)]\n")
    answer = tool.mark()
    assert answer["reason"] == "it took more than 1.5 s"
    assert 4 * 64 - 20 < answer["seen"] < 4 * 64 + 20


def test_an_object_that_can_not_be_visited_hides_no_other(
    tool: Tool, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = tool.load("bad = bytearray(b'x')\ngood = []\n")

    def fail(value: Any) -> Any:
        if value is module.bad:
            raise RuntimeError("touched")
        return real(value)

    objects = tool.parts["rpw_objects"]
    real = objects.of
    monkeypatch.setattr(objects, "of", fail)
    tool.mark()
    module.bad.append(1)
    module.good.append(1)
    assert set(tool.changes()) == {"good"}


def test_running_functions_of_the_tool_are_looked_into(
    tool: Tool, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = tool.load(
        "def work():\n"
        "    seen = []\n"
        "    count = 0\n"
        "    for turn in range(2):\n"
        "        hook(seen)\n"
        "        count += 1\n"
        "    return seen, count\n"
    )
    asked: list[dict[str, Any]] = []

    def go(seen: list[int]) -> None:
        tool.sys._current_frames = lambda: {1: sys._getframe()}
        if not asked:
            tool.mark()
            asked.append({})
            seen.append(1)
            return
        changes = tool.changes()
        asked.append(changes)
        tool.restore(changes["work.seen"], changes["work.count"])

    monkeypatch.setattr(builtins, "hook", go, raising=False)
    assert module.work() == ([], 1)
    found = {name: (each["kind"], each["place"]) for name, each in asked[1].items()}
    assert found == {
        "work.seen": ("local variable", "tools/tool.py:2"),
        "work.count": ("local variable", "tools/tool.py:3"),
        "work.turn": ("local variable", "tools/tool.py:4"),
    }
    tool.sys._current_frames = dict
    assert tool.changes() == {}  # the function runs no longer


def test_variables_of_a_thread_are_found(tool: Tool) -> None:
    module = tool.load("import threading\nlocal = threading.local()\nlocal.names = []\n")
    tool.mark()
    module.local.names.append(1)
    assert "local.names" in {name.replace("['names']", ".names") for name in tool.changes()}
    assert threading.current_thread() is threading.main_thread()


# --- answers ---


def test_what_is_not_known_or_fails_is_not_put_back(tool: Tool) -> None:
    module = tool.load("state = []\nlog = bytearray()\n")
    tool.mark()
    module.state.append(1)
    module.log.append(1)
    changes = tool.changes()
    with memoryview(module.log):  # so it can't be resized
        answer = tool.state.restore(["absent", changes["log"]["id"], changes["state"]["id"]])
    assert answer["restored"] == [changes["state"]["id"]]
    assert answer["failed"]["absent"] == "it is not known"
    assert answer["failed"][changes["log"]["id"]].startswith("BufferError: ")
    assert all(len(each) <= 100 for each in answer["failed"].values())


def test_a_name_and_the_content_of_its_value_are_two_places(tool: Tool) -> None:
    module = tool.load("state = [1]  # here\nother = [state]\n")
    tool.mark()
    old = module.state
    old.append(2)
    module.state = "poison"
    (content, name) = sorted(tool.state.changes({})["changes"], key=lambda each: each["id"])
    assert (content["id"], name["id"]) == ("module global|tool|state", "module global|tool|state=")
    assert (content["before"], content["after"]) == ("[1]", "[1, 2]")
    assert (name["before"], name["after"]) == ("[1]", "'poison'")
    places = tool.state.changes_of({content["id"], name["id"], "module global|tool|absent="})
    assert set(places) == {content["id"], name["id"], "module global|tool|absent="}
    assert places[content["id"]].key is None
    assert places[name["id"]].key == "state"
    tool.restore(content, name)
    assert module.state is old
    assert old == [1]


def test_the_line_that_changed_a_place_is_passed_on(tool: Tool) -> None:
    module = tool.load("state = []\nother = []\n")
    tool.mark()
    module.state.append(1)
    module.other.append(1)
    changes = tool.changes({"module global|tool|state": "tools/tool.py:9"})
    assert changes["state"]["changed_at"] == "tools/tool.py:9"
    assert changes["other"]["changed_at"] == ""


def test_only_so_many_changes_are_told(tool: Tool) -> None:
    state = tool.parts["rpw_state"]
    assert state._MOST_CHANGES == 1000
    state._MOST_CHANGES = 3
    module = tool.load("many = [[] for _ in range(9)]\n")
    tool.mark()
    for each in module.many[:2]:
        each.append(1)
    assert tool.state.changes({})["is_cut"] is False
    for each in module.many:
        each.append(1)
    answer = tool.state.changes({})
    assert len(answer["changes"]) == 3
    assert (answer["is_cut"], answer["reason"]) == (True, "more than 3 places changed")


def test_values_that_can_not_be_shown_are_still_changes(tool: Tool) -> None:
    module = tool.load("state = [1]\n")
    tool.mark()
    module.state.append(2)

    def fail(*_: object) -> str:
        raise RuntimeError

    tool.parts["rpw_text"].short = fail
    tool.parts["rpw_text"].change = fail
    assert (tool.changes()["state"]["before"], tool.changes()["state"]["after"]) == ("", "")


def test_contents_that_can_not_be_compared_are_no_change(tool: Tool) -> None:
    module = tool.load("state = [1]\nother = []\n")
    tool.mark()
    for node in tool.state.walk.nodes:
        if getattr(node.contents, "value", None) is module.state:
            node.contents.is_changed = functools.partial(divmod, 1, 0)
    module.other.append(1)
    assert set(tool.changes()) == {"other"}


def test_paths_of_the_root_are_not_shown(tool: Tool) -> None:
    tool.state.names._roots += ("/r/",)
    module = tool.load("state = {'/r/a': '/r/b'}\n")
    tool.mark()
    module.state["/r/a"] = "c"
    (change,) = tool.changes().values()
    assert (change["before"], change["after"]) == ("{'a': 'b'}", "{'a': 'c'}")
