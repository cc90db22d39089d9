"""Recordings: what a server wrote down becomes suites that can be checked."""

import contextlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from rpw_fixture.cli import main
from rpw_fixture.client.action import Action
from rpw_fixture.client.encoding import encode
from rpw_fixture.client.inputs import File, Symlink
from rpw_fixture.config import Config
from rpw_fixture.errors import ConfigError
from rpw_fixture.events.actions import Mode
from rpw_fixture.events.kinds import FileRecord
from rpw_fixture.execution.recorder import Recorder
from rpw_fixture.execution.resolve import Resolver
from rpw_fixture.execution.routing import Route
from rpw_fixture.hermeticity.suites import recording
from rpw_fixture.server import Server
from rpw_fixture.storage.blobs import BlobStore
from rpw_fixture.storage.cas import Cas
from rpw_fixture.wire.digests import SHA256, DigestFunctions
from rpw_fixture.wire.worker.protocol_names import PERSISTENT_FLAG
from rpw_fixture.workers.input_index import InputIndex
from rpw_fixture.workers.key import WorkerKey
from tests.hermeticity.samples import source


@pytest.fixture
def store(tmp_path: Path) -> Iterator[BlobStore]:
    cas = Cas(
        DigestFunctions(["SHA256"]),
        folder=tmp_path / "cas",
        memory_bytes=1 << 20,
        spill_threshold=1 << 20,
        max_bytes=1 << 30,
        durable=False,
    )
    yield cas.store(SHA256)
    cas.close()


def compilation(
    name: str, script: str = "leaky.py", key: str = "key", startup: Sequence[str] = ()
) -> Action:
    tools = {each: source(each).read_bytes() for each in (script, "good.py", "rpw_worker.py")}
    return Action(
        arguments=["python3", f"tools/{script}", *startup],
        flagfile=["--in", f"src/{name}.txt", "--out", f"out/{name}.txt", "--header", name],
        inputs={f"src/{name}.txt": f"text of {name}\n", "src/link": Symlink(f"{name}.txt")},
        tool_inputs={f"tools/{path}": content for path, content in tools.items()},
        outputs=[f"out/{name}.txt"],
        worker_key=key,
    )


def record(folder: Path, store: BlobStore, *actions: Action) -> None:
    """What a server does for each action that a worker answered."""
    index, resolver = InputIndex(lambda _path: False), Resolver(Config())
    with contextlib.closing(Recorder(folder)) as recorder:
        for number, action in enumerate(actions):
            encoded = encode(action, SHA256)
            for data in encoded.blobs.values():
                store.put(data)
            message = resolver.decode_action(encoded.digest, store)
            resolved = resolver.resolve(encoded.digest, message, store, "")
            key = WorkerKey(
                client_key=action.worker_key or "",
                startup_arguments=(*action.arguments, PERSISTENT_FLAG),
                tool_inputs=index.tool_inputs(resolved.root),
            )
            flagfile = f"@{action.flagfile_path}"
            recorder.add(
                resolved,
                Route(mode=Mode.WORKER, reason="it fits", key=key, flagfiles=(flagfile,)),
                mnemonic="Compile",
                target=f"//src:{action.outputs[0].rpartition('/')[2]}",
                sent=float(number),
                exit_code=0,
                outputs=[FileRecord("out", "0/0")],
            )


def test_an_action_comes_back_with_all_its_inputs(tmp_path: Path, store: BlobStore) -> None:
    record(tmp_path / "r", store, compilation("a"))
    (found,) = recording.load(tmp_path / "r")
    assert found.target == "//src:a.txt"
    assert found.worker.command == ("python3", "tools/leaky.py")
    assert set(found.worker.tool_inputs) == {
        "tools/leaky.py",
        "tools/good.py",
        "tools/rpw_worker.py",
    }
    assert found.action.arguments == ("--in", "src/a.txt", "--out", "out/a.txt", "--header", "a")
    assert found.action.inputs["src/a.txt"] == File(b"text of a\n")
    assert found.action.inputs["src/link"] == Symlink("a.txt")


def test_an_action_recorded_twice_is_there_once(tmp_path: Path, store: BlobStore) -> None:
    record(tmp_path / "r", store, compilation("a"))
    record(tmp_path / "r", store, compilation("a"), compilation("b"))
    assert len(recording.load(tmp_path / "r")) == 2


def test_actions_come_in_the_order_of_their_requests(tmp_path: Path, store: BlobStore) -> None:
    record(tmp_path / "r", store, *(compilation(each) for each in "abc"))
    file = tmp_path / "r" / "actions.jsonl"
    file.write_text("".join(reversed(file.read_text().splitlines(keepends=True))))
    found = recording.load(tmp_path / "r")
    assert [each.target for each in found] == ["//src:a.txt", "//src:b.txt", "//src:c.txt"]


def test_each_worker_has_its_own_suite(tmp_path: Path, store: BlobStore) -> None:
    record(tmp_path / "r", store, compilation("a"), compilation("b", "good.py"), compilation("c"))
    suites = recording.suites(recording.load(tmp_path / "r"))
    assert [len(each.actions) for each in suites] == [2, 1]


def test_a_leak_in_a_recorded_build_is_found(
    tmp_path: Path, store: BlobStore, capsys: pytest.CaptureFixture[str]
) -> None:
    record(tmp_path / "r", store, compilation("a"), compilation("b"))
    assert main(["check", str(tmp_path / "r"), "--select", "RPW202,RPW4", "--format", "json"]) == 1
    report = json.loads(capsys.readouterr().out)
    first = report["findings"][0]
    assert (first["victim"], first["polluters"]) == ("//src:b.txt Compile", ["//src:a.txt Compile"])
    states = {each["code"]: each["status"] for each in report["checks"]}
    assert states["RPW402"] == states["RPW403"] == "passed"


def test_wrong_cache_entries_are_counted_in_recorded_order(
    tmp_path: Path, store: BlobStore, capsys: pytest.CaptureFixture[str]
) -> None:
    record(tmp_path / "r", store, *(compilation(each) for each in "abc"))
    arguments = ["check", str(tmp_path / "r"), "--select", "RPW201", "--cache-poisoning"]
    assert main([*arguments, "--format", "json"]) == 0, "a count is no finding"
    assert json.loads(capsys.readouterr().out)["cache_poisoning"] == {
        "entries": 3,
        "wrong": 2,
        "actions": ["//src:b.txt Compile", "//src:c.txt Compile"],
    }
    assert main(arguments) == 0
    told = capsys.readouterr().out
    assert "  wrong action-cache entries after the recorded history: 2 of 3\n" in told
    assert "    //src:b.txt Compile\n" in told


def test_results_that_are_not_cached_are_no_wrong_entries(
    tmp_path: Path, store: BlobStore, capsys: pytest.CaptureFixture[str]
) -> None:
    uncached = compilation("b").replace(do_not_cache=True)
    record(tmp_path / "r", store, compilation("a"), uncached, compilation("c"))
    arguments = ["check", str(tmp_path / "r"), "--select", "RPW201", "--cache-poisoning"]
    assert main([*arguments, "--format", "json"]) == 0
    counted = json.loads(capsys.readouterr().out)["cache_poisoning"]
    assert counted == {"entries": 2, "wrong": 1, "actions": ["//src:c.txt Compile"]}


def test_pools_of_the_recording_server_do_not_pollute_each_other(
    tmp_path: Path, store: BlobStore, capsys: pytest.CaptureFixture[str]
) -> None:
    record(tmp_path / "r", store, compilation("a"), compilation("b", key="another"))
    assert main(["check", str(tmp_path / "r"), "--select", "RPW4", "--cache-poisoning"]) == 0
    assert (
        "wrong action-cache entries after the recorded history: 0 of 2" in capsys.readouterr().out
    )


def test_what_no_cache_keeps_is_no_wrong_entry(
    tmp_path: Path, store: BlobStore, capsys: pytest.CaptureFixture[str]
) -> None:
    crashing = [compilation(each, "crashing.py", startup=["--after=1"]) for each in "abc"]
    record(tmp_path / "r", store, *crashing)
    main(["check", str(tmp_path / "r"), "--select", "RPW4", "--cache-poisoning"])
    assert (
        "wrong action-cache entries after the recorded history: 0 of 2" in capsys.readouterr().out
    )


def test_entries_that_there_was_no_time_for_are_reported(
    tmp_path: Path, store: BlobStore, capsys: pytest.CaptureFixture[str]
) -> None:
    record(tmp_path / "r", store, compilation("a"))
    arguments = ["check", str(tmp_path / "r"), "--cache-poisoning", "--format", "json"]
    main([*arguments, "--max-seconds", "0"])
    assert json.loads(capsys.readouterr().out)["cache_poisoning"] == {
        "entries": 0,
        "wrong": 0,
        "actions": [],
        "reason": "the time limit of 0 s (--max-seconds) was reached",
    }


def test_one_key_for_two_tools_is_found(
    tmp_path: Path, store: BlobStore, capsys: pytest.CaptureFixture[str]
) -> None:
    record(tmp_path / "r", store, compilation("a"), compilation("b", "good.py"))
    assert main(["check", str(tmp_path / "r"), "--select", "RPW402", "--format", "json"]) == 1
    (finding,) = json.loads(capsys.readouterr().out)["findings"]
    assert finding["code"] == "RPW402"
    assert "tools/leaky.py" in finding["summary"]


def test_a_folder_that_is_no_recording_is_reported(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="not a recording"):
        recording.load(tmp_path)


def test_a_torn_line_is_reported_by_its_number(tmp_path: Path, store: BlobStore) -> None:
    record(tmp_path / "r", store, compilation("a"))
    with (tmp_path / "r" / "actions.jsonl").open("a") as file:
        file.write('{"action": "1/2"\n')
    with pytest.raises(ConfigError, match=r"actions\.jsonl:2: not a recorded action"):
        recording.load(tmp_path / "r")


def test_a_recording_of_nothing_says_why(tmp_path: Path) -> None:
    with Server(record=tmp_path / "recording") as server:
        for name in ("a", "b"):
            server.run(compilation(name).with_worker_key(None))
    with pytest.raises(ConfigError, match=r"actions ran one-shot: .*persistentWorkerKey"):
        recording.load(tmp_path / "recording")
    assert len((tmp_path / "recording/unrecorded.jsonl").read_text().splitlines()) == 1


def test_a_recording_that_no_action_reached_says_so(tmp_path: Path) -> None:
    with Server(record=tmp_path / "recording"):
        pass
    with pytest.raises(ConfigError, match="no action reached what recorded it"):
        recording.load(tmp_path / "recording")
