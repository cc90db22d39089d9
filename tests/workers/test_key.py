from __future__ import annotations

import dataclasses

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from rpw_fixture.events.kinds import FileRecord
from rpw_fixture.wire.worker.protocol_names import WorkerProtocol
from rpw_fixture.workers.key import Ability, ToolInput, ToolInputs, WorkerKey, differences, distance

NAMES = st.text(alphabet="ab/=, '()", max_size=4)
HASHES = st.sampled_from(["a" * 64, "b" * 64]).map("{}/1".format)
TOOLS = st.lists(
    st.builds(ToolInput, NAMES, HASHES | NAMES.map("-> {}".format), st.booleans()), max_size=3
).map(ToolInputs)
PAIRS = st.lists(st.tuples(NAMES, NAMES), max_size=3).map(tuple)
WORDS = st.lists(NAMES, max_size=3).map(tuple)
# Several have the same strategy, so that contents could be mistaken for each other's.
COUNTED = {
    "client_key": NAMES,
    "instance_name": NAMES,
    "digest_function": NAMES,
    "cache_silo_key": NAMES,
    "container": PAIRS,
    "protocol": st.sampled_from(WorkerProtocol),
    "abilities": st.lists(st.sampled_from(Ability), unique=True).map(tuple),
    "startup_arguments": WORDS,
    "environment": PAIRS,
    "working_directory": NAMES,
    "tool_inputs": TOOLS,
}
KEYS = st.builds(WorkerKey, **COUNTED, platform=PAIRS, mnemonic=NAMES)

LIB = ToolInput("tools/lib.py", "3f2a9c01" + "0" * 56 + "/12", is_executable=False)
BASE = WorkerKey(
    client_key="k1",
    startup_arguments=("python3", "worker.py", "--persistent_worker"),
    environment=(("LANG", "C"), ("PATH", "/bin")),
    tool_inputs=ToolInputs([LIB]),
)


def differences_after(**changes: object) -> list[str]:
    return differences(BASE.components, dataclasses.replace(BASE, **changes).components)


def differences_of_tools(*tools: ToolInput) -> list[str]:
    return differences_after(tool_inputs=ToolInputs(tools))


# --- equality ---


@given(KEYS, KEYS)
@example(BASE, dataclasses.replace(BASE))
@example(
    dataclasses.replace(BASE, environment=(("A", "1"), ("A", "2"))),
    dataclasses.replace(BASE, environment=(("A", "2"),)),
)
@example(
    dataclasses.replace(BASE, startup_arguments=("a, b",)),
    dataclasses.replace(BASE, startup_arguments=("a", "b")),
)
def test_two_keys_are_equal_just_when_all_their_components_are(
    one: WorkerKey, other: WorkerKey
) -> None:
    is_equal = all(getattr(one, name) == getattr(other, name) for name in COUNTED)

    assert (one.components == other.components) == is_equal
    assert (one.digest == other.digest) == is_equal
    assert (differences(one.components, other.components) == []) == is_equal
    assert (distance(one.components, other.components) == 0) == is_equal


@given(KEYS, KEYS, st.sampled_from(sorted(COUNTED)))
def test_one_changed_component_is_one_difference_with_its_name(
    key: WorkerKey, source: WorkerKey, field: str
) -> None:
    changed = dataclasses.replace(key, **{field: getattr(source, field)})
    is_equal = getattr(key, field) == getattr(source, field)
    lines = differences(key.components, changed.components)
    names = [name for name, _ in key.components]
    changed_names = {
        name
        for (name, was), (_, now) in zip(key.components, changed.components, strict=True)
        if was != now
    }

    assert distance(key.components, changed.components) == (not is_equal)
    assert len(changed_names) == (not is_equal)
    assert all(line.startswith(tuple(changed_names)) for line in lines)
    assert len(names) == len(set(names)) == len(COUNTED)


@given(TOOLS, TOOLS)
def test_tool_inputs_are_equal_just_when_their_files_are(
    one: ToolInputs, other: ToolInputs
) -> None:
    assert (one == other) == (one.files == other.files)
    assert one != one.files
    if one == other:
        assert hash(one) == hash(other)


@given(KEYS, KEYS)
def test_a_component_that_does_not_count_may_differ(one: WorkerKey, other: WorkerKey) -> None:
    parts = frozenset({"environment"})
    one = dataclasses.replace(one, parts=parts)
    other = dataclasses.replace(other, parts=parts, environment=one.environment)

    assert one.digest == other.digest
    assert differences(one.components, other.components) == []


def test_a_component_that_counts_in_one_key_only_is_a_difference() -> None:
    less = dataclasses.replace(BASE, parts=BASE.parts - {"tool input", "environment"})

    assert distance(BASE.components, less.components) == 2
    assert len(differences(less.components, BASE.components)) >= 2
    assert less.digest != BASE.digest


def test_the_paths_of_tools_can_count_without_their_contents() -> None:
    parts = frozenset({"tool path"})
    one = dataclasses.replace(BASE, parts=parts)
    changed = ToolInputs([LIB._replace(digest="b" * 64 + "/1")])
    moved = ToolInputs([LIB._replace(path="tools/moved.py")])

    assert dataclasses.replace(one, tool_inputs=changed).digest == one.digest
    assert dataclasses.replace(one, tool_inputs=moved).digest != one.digest


# --- in words ---


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"client_key": "k2"}, "persistentWorkerKey: 'k1' → 'k2'"),
        ({"protocol": WorkerProtocol.JSON}, "protocol: 'proto' → 'json'"),
        ({"working_directory": "sub"}, "working directory: '' → 'sub'"),
        ({"instance_name": "ci"}, "instance name: '' → 'ci'"),
        ({"digest_function": "BLAKE3"}, "digest function: 'SHA256' → 'BLAKE3'"),
        ({"cache_silo_key": "a"}, "cache-silo-key: '' → 'a'"),
        ({"container": (("container-image", "x"),)}, "container: container-image added"),
        ({"abilities": (Ability.MULTIPLEX,)}, "ability 0: 'multiplex' added"),
        (
            {"startup_arguments": ("python3", "w2.py", "--persistent_worker")},
            "startup argument 1: 'worker.py' → 'w2.py'",
        ),
        ({"startup_arguments": ("python3",)}, "startup argument 1: 'worker.py' removed"),
        (
            {"startup_arguments": (*BASE.startup_arguments, "-v")},
            "startup argument 3: '-v' added",
        ),
    ],
)
def test_a_difference_is_described_in_words(changes: dict[str, object], line: str) -> None:
    assert differences_after(**changes) == [line]


def test_every_changed_variable_is_listed() -> None:
    assert differences_after(environment=(("LANG", "de"), ("TZ", "UTC"))) == [
        "environment: LANG 'C' → 'de'",
        "environment: PATH removed",
        "environment: TZ added",
    ]


def test_the_same_variables_in_another_order_are_a_difference_too() -> None:
    assert differences_after(environment=BASE.environment[::-1]) == ["environment: another order"]


def test_every_changed_tool_input_is_listed() -> None:
    changed = LIB._replace(digest="91bc" + "0" * 60 + "/12")

    assert differences_of_tools(changed) == ["tool input tools/lib.py: 3f2a9c01… → 91bc0000…"]
    assert differences_of_tools() == ["tool input tools/lib.py: removed"]
    assert differences_of_tools(LIB, ToolInput("tools/new", "-> lib.py", is_executable=False)) == [
        "tool input tools/new: added"
    ]
    assert differences_of_tools(LIB._replace(is_executable=True)) == [
        "tool input tools/lib.py: executable bit set"
    ]
    assert differences_of_tools(LIB._replace(digest="-> other.py")) == [
        "tool input tools/lib.py: 3f2a9c01… → -> other.py"
    ]


def test_the_differences_stand_in_the_order_of_the_components() -> None:
    lines = differences_after(
        cache_silo_key="s",
        client_key="k2",
        tool_inputs=ToolInputs([]),
        protocol=WorkerProtocol.JSON,
    )

    assert [line.partition(":")[0] for line in lines] == [
        "persistentWorkerKey",
        "tool input tools/lib.py",
        "protocol",
        "cache-silo-key",
    ]


# --- tool inputs ---


def test_tool_inputs_are_true_when_there_are_any() -> None:
    assert ToolInputs([LIB])
    assert not ToolInputs([])


def test_tool_inputs_are_recorded_as_path_and_digest() -> None:
    assert ToolInputs([LIB]).records() == (FileRecord(LIB.path, LIB.digest),)


def test_a_fingerprint_that_is_given_decides() -> None:
    assert ToolInputs([LIB], b"same") == ToolInputs([], b"same")
