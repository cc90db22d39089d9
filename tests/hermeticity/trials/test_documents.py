"""Every trial, action, worker and result survives the way to JSON and back, with all its fields."""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from enum import Enum
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rpw_fixture.client.inputs import EmptyFolder, File, Symlink
from rpw_fixture.hermeticity.suites.suite import SuiteAction, SuiteWorker
from rpw_fixture.hermeticity.trials import documents, json_values
from rpw_fixture.hermeticity.trials.documents import ActionDocuments
from rpw_fixture.hermeticity.trials.trial import Outcome, Result, Step, Trial, Variation, steps
from rpw_fixture.storage.blobs import BlobStore
from rpw_fixture.storage.cas import Cas
from rpw_fixture.wire.digests import SHA256, Digest, DigestFunctions

# Names of files are bytes: a character beyond UTF-8 is a surrogate.
TEXTS = st.text(st.characters(max_codepoint=0x2FF) | st.sampled_from("\udc80\udcff😀"), max_size=5)
SIMPLE: Mapping[Any, st.SearchStrategy[Any]] = {
    str: TEXTS,
    bytes: st.binary(max_size=6),
    bool: st.booleans(),
    int: st.integers(0, 1 << 40),
    float: st.floats(allow_nan=False),
    object: st.recursive(
        st.none() | st.booleans() | st.integers() | TEXTS,
        lambda inner: st.tuples(inner, inner),
        max_leaves=4,
    ),
}


def strategy(hint: Any, known: Mapping[Any, st.SearchStrategy[Any]]) -> st.SearchStrategy[Any]:
    """Values of a type with every field set, whatever fields it has."""
    if hint in known:
        return known[hint]
    if isinstance(hint, type) and issubclass(hint, Enum):
        return st.sampled_from(hint)
    if dataclasses.is_dataclass(hint):
        hints = typing.get_type_hints(hint)
        fields = [each.name for each in dataclasses.fields(hint) if each.init]
        return st.builds(hint, **{name: strategy(hints[name], known) for name in fields})
    return generic(typing.get_origin(hint), typing.get_args(hint), known)


def generic(
    origin: Any, inner: tuple[Any, ...], known: Mapping[Any, st.SearchStrategy[Any]]
) -> st.SearchStrategy[Any]:
    if origin in {typing.Union, types.UnionType}:
        return st.one_of(
            st.none() if each is type(None) else strategy(each, known) for each in inner
        )
    if origin is tuple and inner[-1] is Ellipsis:
        return st.lists(strategy(inner[0], known), max_size=2).map(tuple)
    if origin is tuple:
        return st.tuples(*(strategy(each, known) for each in inner))
    if origin is frozenset:
        return st.frozensets(strategy(inner[0], known), max_size=2)
    assert issubclass(origin, Mapping)
    return st.dictionaries(*(strategy(each, known) for each in inner), max_size=2)


ACTIONS = strategy(SuiteAction, SIMPLE)
WORKERS = strategy(SuiteWorker, SIMPLE)
TRIALS = strategy(Trial, {**SIMPLE, SuiteAction: ACTIONS})
FEW = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))


@contextmanager
def new_store(folder: Path) -> Iterator[BlobStore]:
    cas = Cas(
        DigestFunctions(["SHA256"]),
        folder=folder / "cas",
        memory_bytes=1 << 20,
        spill_threshold=1 << 20,
        max_bytes=1 << 30,
        durable=False,
    )
    try:
        yield cas.store(SHA256)
    finally:
        cas.close()


def no_trace(_digest: Digest) -> str:
    raise AssertionError("there was no trace")


def fields_of(action: SuiteAction) -> dict[str, object]:
    return {each.name: getattr(action, each.name) for each in dataclasses.fields(action)}


@given(ACTIONS)
@FEW
def test_an_action_returns_with_all_its_fields(action: SuiteAction) -> None:
    document = ActionDocuments().of(action)
    back = documents.read_action(document.content, document.blobs.__getitem__)
    assert fields_of(back) == fields_of(action)
    assert list(back.inputs) == list(action.inputs)


@given(WORKERS)
@FEW
def test_a_worker_returns_with_all_its_fields(worker: SuiteWorker) -> None:
    document = documents.write_worker(worker)
    assert documents.read_worker(document.content, document.blobs.__getitem__) == worker


@given(TRIALS)
@FEW
def test_a_trial_returns_with_all_its_fields(trial: Trial) -> None:
    written = ActionDocuments()
    content = written.write_trial(trial)
    table = {str(written.of(each).digest): each for each in documents.actions_of(trial)}
    back = documents.read_trial(content, table)
    assert back == trial
    assert ActionDocuments().write_trial(back) == content


@given(st.data())
@FEW
def test_a_result_returns_with_all_its_fields(data: st.DataObject) -> None:
    trial = data.draw(TRIALS.filter(lambda each: each.history))
    own = st.sampled_from([*trial.history, *(s for p in trial.predecessors for s in p.history)])
    result = data.draw(strategy(Result, {**SIMPLE, Step: own}))
    result = dataclasses.replace(result, trace="")
    content = documents.write_result(result, trial, typing.cast("BlobStore", None))
    assert documents.read_result(content, trial, no_trace) == result


ACTION = SuiteAction(
    name="a",
    arguments=("--in", "x"),
    inputs={"x": File(b"content", is_executable=True), "l": Symlink("x"), "f": EmptyFolder()},
    outputs=("out",),
)


@pytest.mark.parametrize(
    "changes",
    [
        {"name": "b"},
        {"arguments": ()},
        {"inputs": {}},
        {"inputs": {"x": File(b"other")}},
        {"outputs": ()},
        {"exit_code": 1},
        {"flagfile": "flags"},
        {"do_not_cache": True},
    ],
    ids=str,
)
def test_another_action_makes_another_document(changes: dict[str, Any]) -> None:
    written = ActionDocuments()
    other = ACTION.changed("", **changes)
    one, two = (written.write_trial(Trial(history=steps(each))) for each in (ACTION, other))
    assert one != two


def test_equal_actions_are_written_once() -> None:
    written = ActionDocuments()
    assert written.of(ACTION) is written.of(ACTION.changed(""))


def test_a_document_holds_no_content() -> None:
    document = ActionDocuments().of(ACTION)
    assert set(document.blobs) == {SHA256.of(b"content")}
    assert b"content" not in document.content


def test_a_result_names_the_content_of_outputs_and_of_the_trace(tmp_path: Path) -> None:
    (tmp_path / "trace").write_bytes(b"open()")
    trial = Trial(history=steps(ACTION))
    one, two = SHA256.of(b"1"), SHA256.of(b"2")
    outputs = {"a": f"{one}", "b": f"{two} executable", "c": "-> a", "d": "folder"}
    outcome = Outcome(step=trial.history[0], exit_code=0, outputs=outputs)
    result = Result(outcomes=(outcome,), trace=str(tmp_path / "trace"))
    with new_store(tmp_path) as store:
        content = documents.write_result(result, trial, store)
        trace = SHA256.of(b"open()")
        assert documents.blobs_of(content) == {one, two, trace}
        assert store.get(trace) == b"open()"
    back = documents.read_result(content, trial, lambda digest: f"/traces/{digest.hash}")
    assert back == dataclasses.replace(result, trace=f"/traces/{trace.hash}")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b'{"outcomes": 1}',
        b'{"outcomes": [{"step": 5, "exit_code": 0}]}',
        b'{"outcomes": [], "unknown": 1}',
        b'{"outcomes": [{"step": 0, "exit_code": 0, "outputs": [["a"]]}]}',
    ],
)
def test_a_damaged_document_is_refused(content: bytes) -> None:
    trial = Trial(history=steps(ACTION))
    with pytest.raises(ValueError, match="no document"):
        documents.read_result(content, trial, no_trace)


@dataclasses.dataclass(frozen=True)
class Growing:
    """As `Trial` may be some day."""

    values: list[int] = dataclasses.field(default_factory=list)


def test_a_field_without_a_plain_form_is_refused_at_once() -> None:
    with pytest.raises(TypeError, match="no plain form"):
        json_values.converter(Growing, {})
    with pytest.raises(TypeError, match="no plain form"):
        json_values.converter(Variation, {}).write(Variation(steps=(("step", [1]),)))
