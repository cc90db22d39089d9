"""``demo``: show on a few actions how a server uses a persistent worker."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rpw_fixture.cli.parsers import to_path
from rpw_fixture.cli.standard_streams import write_line
from rpw_fixture.client.action import Action
from rpw_fixture.events.kinds import Event, WorkerNotReused, WorkerStarted
from rpw_fixture.support.output_files import require_room
from rpw_fixture.support.program_form import program_name
from rpw_fixture.testing.sample_workers import python_workers

if TYPE_CHECKING:
    from rpw_fixture.client import ActionOutcome
    from rpw_fixture.server import Server

_PROTOCOL, _COMPILER = "rpw_worker.py", "good.py"
_TEXTS = {"hello": "hello, world", "sea": "the sea is blue", "moon": "the moon is near"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the option of the command."""
    parser.epilog = "The workers are part of this package, and everything runs on this machine."
    parser.add_argument(
        "--report",
        type=to_path,
        metavar="FILE",
        help="write a page of what happened to FILE (HTML)",
    )


def run(options: argparse.Namespace) -> int:
    """Show reuse, a restart and a state leak; return 0 if all three happened."""
    from rpw_fixture.server import Server  # noqa: PLC0415 - --help must not wait for gRPC

    if options.report is not None:
        require_room(f"--report {options.report}", options.report)
    events: list[Event] = []
    with Server() as server:
        server.events.add_sink(events.append)  # a step may clear the log
        write_line(f"An REAPI server listens on {server.endpoint}.\n")
        demo = _Demo(server, python_workers())
        steps = (demo.show_reuse(), demo.show_restart(), demo.show_leak())
        if options.report is not None:
            _write_report(events, options.report)
    write_line(f"Next: point Bazel at '{program_name()}', or assert all this in pytest:")
    write_line("https://github.com/rpw-fixture/rpw_fixture/blob/main/README.md")
    return 0 if all(steps) else 1


def _write_report(events: Sequence[Event], path: Path) -> None:
    from rpw_fixture.report.write import write_report  # noqa: PLC0415 - only what is needed

    write_report(events, path, name="demo")
    write_line(f"What the workers did: {path}\n")


class _Demo:
    """Three steps, each of which returns whether it went as expected."""

    def __init__(self, server: Server, folder: Path) -> None:
        self._server = server
        self._folder = folder

    def show_reuse(self) -> bool:
        """Show that actions with the same worker key share a process."""
        write_line(
            "1. Actions with one persistentWorkerKey and the same tool share a worker process:\n"
        )
        outcomes = [self._server.run(self._action(_COMPILER, name)) for name in _TEXTS]
        _table(_COLUMNS, map(_row, outcomes))
        return len({each.worker for each in outcomes}) == 1

    def show_restart(self) -> bool:
        """Show that a changed tool input leads to a new process."""
        write_line("2. One byte of a tool input changes, so the next action gets a new worker:\n")
        edited = (self._folder / _PROTOCOL).read_bytes() + b"\n"
        action = self._action(_COMPILER, "hello")
        outcome = self._server.run(action.with_tool_input(f"tools/{_PROTOCOL}", edited))
        _table(_COLUMNS, [_row(outcome)])
        reasons = self._server.events.of(WorkerNotReused)
        for reason in reasons[-1].differences if reasons else ():
            write_line(f"   why worker 1 did not serve: {reason}\n")
        return len(self._server.events.of(WorkerStarted)) == 2 and bool(reasons)

    def show_leak(self) -> bool:
        """Show a worker whose state reaches an output when it is warm, and not when it is cold."""
        write_line(
            "3. A worker that leaks state: the header of one action gets into the output of another:\n"
        )
        self._server.run(self._action("leaky.py", "hello", "--header", "made for hello"))
        warm = self._server.run(self._action("leaky.py", "sea"))
        self._server.reset()
        cold = self._server.run(self._action("leaky.py", "sea"))
        outputs = {
            "warm, after 'hello'": warm.outputs["out/sea.txt"].decode(),
            "cold, just started": cold.outputs["out/sea.txt"].decode(),
        }
        rows = [(how, " / ".join(text.splitlines()[:-1])) for how, text in outputs.items()]
        _table(("the worker was", "out/sea.txt (lines joined)"), rows)
        write_line(
            "   Both exit codes were 0: a shared cache would give the wrong output to everybody.\n"
        )
        return warm.outputs != cold.outputs

    def _action(self, script: str, name: str, *arguments: str) -> Action:
        tools = dict.fromkeys((_PROTOCOL, _COMPILER, script))
        output = f"out/{name}.txt"
        return Action(
            arguments=(sys.executable, f"tools/{script}"),
            flagfile=("--in", f"src/{name}.txt", "--out", output, *arguments),
            flagfile_path=f"{name}.params",
            tool_inputs={f"tools/{each}": self._folder / each for each in tools},
            inputs={f"src/{name}.txt": _TEXTS[name]},
            outputs=(output,),
            worker_key="demo",
            mnemonic="Compile",
            target=f"//demo:{name}",
        )


_COLUMNS = ("action", "worker", "reused", "time", "output")


def _row(outcome: ActionOutcome) -> Sequence[str]:
    begin, end = (outcome.timestamps[each] for each in ("worker_start", "worker_completed"))
    (output,) = outcome.outputs.values()
    return (
        outcome.action.target,
        f"worker {outcome.worker}",
        "yes" if outcome.reused else "no, started",
        f"{(end - begin) * 1000:6.1f} ms",
        output.decode().splitlines()[0],
    )


def _table(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    lines = [titles, *rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    lines.insert(1, ["-" * width for width in widths])
    for line in lines:
        cells = (f"{cell:<{width}}" for cell, width in zip(line, widths, strict=True))
        write_line("   " + "  ".join(cells).rstrip())
    write_line()
