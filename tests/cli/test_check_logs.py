"""``check --exec-log`` without a Bazel: what it says, finds, skips and refuses."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from rpw_fixture import Server, cli
from rpw_fixture.client import Client
from rpw_fixture.wire.digests import Digest
from rpw_fixture.wire.protos import spawn
from tests.hermeticity.samples import source
from tests.hermeticity.suites.execution_logs.logs import (
    Entry,
    digest,
    entry,
    file,
    input_set,
    invocation,
    write_binary,
    write_compact,
    write_json,
)

TOOLS = {
    f"tools/{each}": source(each).read_bytes() for each in ("leaky.py", "good.py", "rpw_worker.py")
}
KEY = spawn.Platform.Property(name="persistentWorkerKey", value="key")
FEW = ("--select", "RPW202,RPW4", "--ignore", "RPW401", "--no-locate")


def contents(name: str, header: str = "") -> dict[str, bytes]:
    lines = ["--in", f"{name}.txt", "--out", f"out/{name}.txt"]
    lines += ["--header", header] if header else []
    return {
        f"{name}.txt": f"text of {name}\n".encode(),
        f"{name}.params": "\n".join(lines).encode(),
    }


def logged(name: str, header: str = "", key: bool = True, **fields: Any) -> spawn.SpawnExec:
    files = {**TOOLS, **contents(name, header)}
    fields = {"runner": "worker", "mnemonic": "Text", **fields}
    return spawn.SpawnExec(
        command_args=[sys.executable, "tools/leaky.py", f"@{name}.params"],
        platform=spawn.Platform(properties=[KEY] if key else []),
        inputs=[file(path, content) for path, content in sorted(files.items())],
        listed_outputs=[f"out/{name}.txt"],
        target_label=f"//t:{name}",
        **fields,
    )


def lay_out(folder: Path, *names: str) -> Path:
    files = {**TOOLS}
    for name in names:
        files |= contents(name, "SECRET" if name == "a" else "")
    for path, content in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)
    return folder


def check(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, Any, str]:
    status = cli.main(["check", "--format", "json", *arguments])
    captured = capsys.readouterr()
    return status, json.loads(captured.out) if captured.out else None, captured.err


@pytest.mark.parametrize("write", [write_binary, write_json])
def test_a_leak_is_found_with_the_contents_of_a_workspace(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], write: type
) -> None:
    log = write(tmp_path / "log", logged("a", "SECRET"), logged("b"))
    folder = lay_out(tmp_path / "work", "a", "b")
    status, report, said = check(capsys, "--exec-log", str(log), "--workspace", str(folder), *FEW)
    assert status == 1
    assert {each["victim"] for each in report["findings"]} >= {"//t:b Text"}
    assert {tuple(each["polluters"]) for each in report["findings"]} == {("//t:a Text",)}
    assert "Text: 2 actions; runner: worker 2" in said
    assert "would be persistent on a remote server: 2 of 2" in said


def test_a_compact_log_and_the_contents_of_a_cas(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = {**TOOLS, **contents("a", "SECRET"), **contents("b")}
    numbers = {path: number for number, path in enumerate(files, start=1)}
    entries = [entry(numbers[path], path, content) for path, content in files.items()]
    tools = input_set(50, *(numbers[path] for path in TOOLS))
    spawns = []
    for set_number, name in ((51, "a"), (53, "b")):
        entries.append(input_set(set_number, numbers[f"{name}.txt"], numbers[f"{name}.params"]))
        entries.append(input_set(set_number + 1, sets=[50, set_number]))
        spawns.append(
            Entry(
                spawn=Entry.Spawn(
                    args=[sys.executable, "tools/leaky.py", f"@{name}.params"],
                    input_set_id=set_number + 1,
                    tool_set_id=50,
                    outputs=[Entry.Output(invalid_output_path=f"out/{name}.txt")],
                    target_label=f"//t:{name}",
                    mnemonic="Text",
                    runner="linux-sandbox",
                )
            )
        )
    ordered = [invocation(), *entries[: len(files)], tools, *entries[len(files) :], *spawns]
    log = write_compact(tmp_path / "log", *ordered)
    with Server() as server:
        with Client(server.endpoint) as client:
            blobs = {Digest(digest(each).hash, len(each)): each for each in files.values()}
            client.upload(blobs)
        status, report, said = check(
            capsys,
            *("--exec-log", str(log), "--cas", server.endpoint, "--mnemonic", "Text:proto", *FEW),
        )
        server.assert_no_internal_error()
    assert status == 1, said
    assert {tuple(each["polluters"]) for each in report["findings"]} == {("//t:a Text",)}
    assert "without persistentWorkerKey: 2 (Bazel 6 and newer sends it" in said
    assert "marks no tool inputs" not in said


def test_without_contents_keys_are_checked_and_the_rest_is_skipped(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = logged("b")
    other.inputs[-1].digest.hash = "0" * 64
    log = write_binary(tmp_path / "log", logged("a"), other)
    status, report, said = check(capsys, "--exec-log", str(log), *FEW)
    (finding,) = report["findings"]
    assert (status, finding["code"]) == (1, "RPW402")
    assert "tools/rpw_worker.py" in finding["summary"]
    states = {each["code"]: each["status"] for each in report["checks"]}
    assert states == {"RPW202": "skipped", "RPW402": "failed", "RPW403": "passed"}
    assert "skipped: //t:a Text: its input a.params is not there" in said


def test_churn_of_keys_that_differ_in_a_tool(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spawns = [logged(f"n{number}", key=False) for number in range(5)]
    for number, each in enumerate(spawns):
        each.environment_variables.add(name="STAMP", value=str(number))
    log = write_binary(tmp_path / "log", *spawns)
    _, report, _ = check(capsys, "--exec-log", str(log), *FEW)
    (finding,) = report["findings"]
    assert finding["code"] == "RPW403"
    assert "environment STAMP" in finding["evidence"]


def test_what_has_changed_is_not_believed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = write_binary(tmp_path / "log", logged("a", "SECRET"), logged("b"))
    folder = lay_out(tmp_path / "work", "a", "b")
    (folder / "b.txt").write_text("edited")
    status, report, said = check(
        capsys, "--exec-log", str(log), "--workspace", str(folder), "--select", "RPW201"
    )
    assert (status, report["actions"]) == (0, 1)
    assert "skipped: //t:b Text: its input b.txt has changed since the build" in said


def test_two_logs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = write_binary(tmp_path / "1", logged("a", actual_outputs=[file("out/a.txt", b"1")]))
    second = write_json(tmp_path / "2", logged("a", actual_outputs=[file("out/a.txt", b"2")]))
    pair = ("--exec-log", str(first), "--exec-log", str(second), "--select", "RPW201")
    status, report, _ = check(capsys, *pair)
    (finding,) = report["findings"]
    assert (status, finding["code"], finding["outputs"]) == (1, "RPW201", ["out/a.txt"])
    baseline = tmp_path / "baseline"
    check(capsys, *pair, "--write-baseline", str(baseline))
    assert check(capsys, *pair, "--baseline", str(baseline))[0] == 0
    same = ("--exec-log", str(first), "--exec-log", str(first), "--select", "RPW201")
    assert check(capsys, *same)[:2][0] == 0
    other = write_binary(tmp_path / "3", logged("b"))
    status, report, said = check(
        capsys, "--exec-log", str(first), "--exec-log", str(other), "--select", "RPW201"
    )
    assert (status, report["checks"][0]["status"]) == (0, "skipped")
    assert "0 actions with the same command" in said


def test_a_log_without_workers_says_what_could_be_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plain = spawn.SpawnExec(command_args=["gcc"], mnemonic="Cpp", runner="local")
    log = write_binary(tmp_path / "log", plain, logged("a", key=False, runner="local"))
    status, report, said = check(capsys, "--exec-log", str(log), *FEW)
    assert (status, report["findings"]) == (0, [])
    assert {each["status"] for each in report["checks"]} == {"skipped"}
    assert "no action ran on a worker, and none has the property persistentWorkerKey" in said
    assert "with a flagfile, so a worker could run them: Text 1; name one with --mnemonic" in said
    _, _, said = check(capsys, "--exec-log", str(log), "--mnemonic", "Cpp", *FEW)
    assert "without flagfile: 1 (pass the arguments in a flagfile" in said
    _, _, said = check(capsys, "--exec-log", str(log), "--mnemonic", "Nope", *FEW)
    assert "no action has the mnemonic Nope" in said


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--cas", "grpc://127.0.0.1:1"], "--cas is of no use without --exec-log"),
        (["--mnemonic", "X"], "--mnemonic is of no use without --exec-log"),
        (["--exec-log", "LOG", "--mnemonic", "X:xml"], "'xml' is unknown; it must be NAME[:proto"),
        (["--exec-log", "LOG", "--mnemonic", "X:proto,json"], "it must be NAME[:proto"),
        (["--exec-log", "LOG", "--mnemonic", ":proto"], "it must be NAME[:proto"),
        (["--exec-log", "LOG", "--workspace", "/missing"], "--workspace /missing: not a folder"),
        (["--exec-log", "LOG", "suite.toml"], "not both"),
        (["--exec-log", "LOG"] * 3, "one log, or two to compare"),
        (["--exec-log", "LOG", "--cas", "nonsense"], "nonsense"),
        (["--exec-log", "/missing"], "--exec-log /missing: No such file"),
    ],
)
def test_wrong_use(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    log = str(write_binary(tmp_path / "log", logged("a")))
    status, _, said = check(capsys, *(log if each == "LOG" else each for each in arguments))
    assert (status, message in said) == (2, True), said


def test_a_cas_that_is_not_there_is_what_the_machine_lacks(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = write_binary(tmp_path / "log", logged("a"))
    status, _, said = check(capsys, "--exec-log", str(log), "--cas", "grpc://127.0.0.1:1")
    assert status == 3
    assert "grpc://127.0.0.1:1" in said
    assert "Connection refused" in said
