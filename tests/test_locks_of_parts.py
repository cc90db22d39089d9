"""Shared fields of objects that work without a server are used under their lock only, too.

See `tests.guarding`. The last test knows every lock of the package, so a new one is not forgotten.
"""

from __future__ import annotations

import ast
import importlib
import io
import os
import signal
import socket
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from rpw_fixture import Action, Server
from rpw_fixture.config import Config
from rpw_fixture.events.log import EventLog
from rpw_fixture.support.cancellation import CancelToken
from rpw_fixture.support.removal import Leftover
from rpw_fixture.wire.digests import SHA256
from rpw_fixture.wire.worker.protocol_names import WorkerProtocol
from tests.guarding import Guard, OwnedLock
from tests.mutation.changes import Kind, changes_of
from tests.test_locks import LOCKS
from tests.waiting import until

ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True, kw_only=True)
class Part:
    """A class with a lock.

    Attributes:
        name: its module and its name.
        use: uses every field; gets a folder.
        lock: the attribute with the lock.
        fields: as in `LOCKS`.
        calls: methods that only a thread with the lock may call.
    """

    name: str
    use: Callable[[Path], object]
    lock: str = "_lock"
    fields: Mapping[str, Collection[str]] = field(default_factory=dict)
    calls: tuple[str, ...] = ()

    def owner(self) -> type:
        module, _, name = self.name.rpartition(".")
        owner = getattr(importlib.import_module(f"rpw_fixture.{module}"), name)
        assert isinstance(owner, type)
        return owner


def use_output_files(_: Path) -> None:
    from rpw_fixture.client.outcome import OutputFile, OutputFiles

    files = {name: OutputFile(digest=SHA256.of(name.encode())) for name in ("a", "b")}
    outputs = OutputFiles(files, fetch=lambda digests: dict.fromkeys(digests, b"content"))
    assert outputs["a"] == b"content"
    outputs.fetch()
    assert outputs["b"] == b"content"


def use_command_signals(_: Path) -> None:
    from rpw_fixture.cli.command_process import CommandSignals

    script = "trap 'exit 7' TERM; kill -TERM $PPID; while :; do sleep 0.01; done"
    with CommandSignals() as signals:
        assert signals.run("/bin/sh", ["sh", "-c", script], os.environ) == 7


def use_progress_line(_: Path) -> None:
    from rpw_fixture.cli.check_progress import ProgressLine

    with ProgressLine() as line:
        line._write("")


def use_race(_: Path) -> None:
    from rpw_fixture.execution.protocol_race import ProtocolRace, Side
    from rpw_fixture.workers.failure import WorkerFailure
    from rpw_fixture.workers.protocol_memory import ProtocolMemory

    killed: list[str] = []
    first, second = (
        SimpleNamespace(
            number=number,
            has_begun=True,
            key=SimpleNamespace(tool="tool", protocol=protocol, startup_arguments=()),
            process=SimpleNamespace(kill_tree=lambda number=number: killed.append(number)),
        )
        for number, protocol in enumerate(WorkerProtocol, 1)
    )

    def race() -> Any:
        deadline = time.monotonic() + 60
        given: Any = first
        return ProtocolRace(
            ProtocolMemory(), given, patience=60, deadline=deadline, token=CancelToken()
        )

    won: Any = race()
    with won.watching(lambda: won.enter(second)):
        won.first_failed(WorkerFailure(worker=1, rule="crash", detail=""))
        until(lambda: won._second is not None)
        won.claim(Side.SECOND, second)
        won._wake()
    assert killed == [1]
    assert won.winner is Side.SECOND
    won.leave()
    lost: Any = race()
    lost.enter(second)
    with pytest.raises(KeyError), lost.watching(lambda: None):
        raise KeyError
    assert killed == [1, 2]


def use_containers(_: Path) -> None:
    from rpw_fixture.launching.containers import Containers
    from rpw_fixture.processes.spawner import Spawner

    removed: list[str] = []
    with Spawner() as spawner:
        containers: Any = Containers(Config(container_runtime="/bin/true"), EventLog(), spawner, {})
        containers._runtime = SimpleNamespace(containers=dict, remove=removed.extend)
        containers._remove_abandoned()
        containers.close()


def use_spawner(_: Path) -> None:
    from rpw_fixture.processes.spawner import Spawner

    with Spawner() as spawner, Path(os.devnull).open("r+b", buffering=0) as null:

        def run() -> None:
            with spawner.spawn(
                executable="/bin/true", argv=["true"], env={}, cwd="/",
                stdin=null.fileno(), stdout=null.fileno(), stderr=null.fileno(),
            ) as process:  # fmt: skip
                ended = process.wait(60)
                assert ended is not None
                process.kill_tree()

        run()
        assert spawner.pid is not None
        os.kill(spawner.pid, signal.SIGKILL)
        run()


def use_live_page(_: Path) -> None:
    from rpw_fixture.report.live import LivePage

    with LivePage(EventLog(), "127.0.0.1:0") as page:
        with urllib.request.urlopen(f"http://{page.address}/", timeout=60) as answer:
            assert answer.status == 200
        host, _, port = page.address.rpartition(":")
        socket.create_connection((host, int(port))).close()


def use_server(_: Path) -> None:
    with Server() as server:
        assert server.client is server.client


def use_cluster(_: Path) -> None:
    from rpw_fixture.testing.cluster import Cluster

    with Server() as server, Cluster(server.endpoint) as cluster:
        cluster.run(Action(arguments=["/bin/true"], outputs=[]))


def use_sweeper(_: Path) -> None:
    from rpw_fixture.services.calls.sweeper import Sweeper, Swept

    class Done(Swept):
        def sweep(self, now: float) -> bool:
            return now < 0

    with Sweeper() as sweeper:
        sweeper.add(Done())


def use_recording(folder: Path) -> None:
    from rpw_fixture.storage.recording_folder import RecordingFolder, reasons_for_gaps

    recording = RecordingFolder(folder / "recording", "--record")
    recording.add({"action": "a"})
    recording.explain_gap("reason")
    recording.explain_gap("reason")
    recording.close()
    assert reasons_for_gaps(folder / "recording") == ("reason",)


def use_first_opening(folder: Path) -> None:
    from rpw_fixture.support import beneath

    implementation = beneath._Implementation()
    parent = os.open(folder, os.O_RDONLY)
    os.close(implementation.opening(parent, ".", os.O_RDONLY))
    os.close(parent)


def use_reported(_: Path) -> None:
    from rpw_fixture.support.removal import _Reported

    reported = _Reported()
    left = [Leftover("/a", "busy")]
    assert (reported.new(left), reported.new(left)) == (left, [])


def use_conversation(folder: Path) -> None:
    from rpw_fixture.storage.recording_folder import RecordingFolder
    from rpw_fixture.workers.tee.conversation import RecordedConversation, TeedWorker

    recording = RecordingFolder(folder / "recording", "--record")
    started = TeedWorker(command=["tool"], folder=str(folder), environment={})
    conversation = RecordedConversation(recording, started, "json")
    list(conversation.requests(b'{"arguments":["a"],"requestId":1}\n{"arguments":["b"]}\n'))
    list(conversation.requests(b'{"requestId":1,"cancel":true}\n'))
    conversation.responses(b'{"requestId":1}\n')
    conversation.end("ended")
    recording.close()


def use_instability(folder: Path) -> None:
    from rpw_fixture.hermeticity.checks.instability import Instability
    from tests.storage.small_stores import make_cas

    action: Any = _Named("a")
    instability = Instability(make_cas(folder).store(SHA256))
    instability.begin([], 0.0, 0.0)
    assert list(instability.missing(action, 1, 0.0)) == [0, 1]
    assert not instability.add(action, [], 0.0)


@dataclass(frozen=True)
class _Named:
    name: str


def use_progress(_: Path) -> None:
    from rpw_fixture.hermeticity.checks.check_list import CHECKS
    from rpw_fixture.hermeticity.progress import ProgressTracker

    tracker = ProgressTracker()
    tracker.expect(2)
    tracker.begin(CHECKS[:2])
    tracker.enter(CHECKS[0])
    tracker.count(1, 2)
    finding: Any = None
    tracker.found(finding)
    assert tracker.now().requests == 2
    tracker.finish()


def use_asked_trials(_: Path) -> None:
    from rpw_fixture.hermeticity.trials.far.asked_trials import AskedTrials
    from rpw_fixture.hermeticity.trials.trial import Trial
    from rpw_fixture.hermeticity.trials.trial_book import TrialBook

    answer: Any = SimpleNamespace(cancelled=lambda: False, result=lambda: None)
    runner: Any = SimpleNamespace(begin=lambda *_, **_more: answer)
    asked: Any = AskedTrials(TrialBook(), runner, jobs=1)
    trial = Trial(history=())
    asked.begin(trial)
    asked.run_afresh([trial])
    asked.use_one_path()


def use_input_roots(_: Path) -> None:
    from rpw_fixture.hermeticity.trials.far.input_roots import InputRoots

    program: Any = SimpleNamespace(name="program", content=b"")
    document: Any = SimpleNamespace(digest=SHA256.of(b"x"), content=b"x", blobs={})
    roots = InputRoots(SHA256, program)
    assert roots._folder_of(document) is roots._folder_of(document)


def use_worker_reuse(_: Path) -> None:
    from rpw_fixture.hermeticity.trials.remote import WorkerReuse

    lock: Any = OwnedLock()  # the class has the usual one since before the test
    assert WorkerReuse(_lock=lock).add([1, 1, None])


def use_result_store(folder: Path) -> None:
    from rpw_fixture.hermeticity.trials.result_store import ResultStore

    store = ResultStore(folder / "store")
    store.write_result("ab" * 32, b"document")
    store.close()


def use_trial_book(_: Path) -> None:
    from rpw_fixture.hermeticity.trials.trial import Outcome, Result, Step, Trial
    from rpw_fixture.hermeticity.trials.trial_book import TrialBook

    action: Any = _Named("a")
    step = Step(action=action)
    trial = Trial(history=(step,))
    book = TrialBook()
    book.keep(trial, Result(outcomes=(Outcome(step=step, exit_code=0),)))
    book.note_asked(trial, book.results[0][1])
    book.count(starts=1, requests=1)
    assert len(book.first_answers(step)) == 1
    book.strike_out([trial])
    book.trust_nothing()
    assert book.known(trial) is None


def use_event_log(_: Path) -> None:
    assert EventLog().since(0) == []


def use_job_queue(_: Path) -> None:
    from rpw_fixture.execution.job_queue import JobQueue

    nothing: Any = SimpleNamespace(is_wanted=True)
    queue: Any = JobQueue(1, lambda: None)
    turn = queue.turn(nothing)
    queue.prefer(turn)
    queue.close()
    queue._room -= 1  # as if it had begun
    assert not queue._start(turn)
    assert queue.take_out(turn)


def use_operation(_: Path) -> None:
    from rpw_fixture.execution.operation import Operation

    nothing: Any = None
    operation = Operation("a", nothing)
    operation.touch()
    assert operation.unwatched_since is not None


def use_shared_root(_: Path) -> None:
    from rpw_fixture.execution.staging.exec_roots import SharedRoot

    root: Any = SharedRoot.__new__(SharedRoot)
    root._changed = threading.Condition(OwnedLock())
    root._wake()  # raises without the lock


def use_faults(_: Path) -> None:
    from rpw_fixture.faults.registry import Faults

    faults = Faults((), evict=lambda _: 0)
    assert faults.armed == ()
    armed = faults.kill_worker()
    assert faults.armed == (armed,)
    armed.disarm()
    faults.clear()
    assert faults.armed == ()


def use_uploads(_: Path) -> None:
    from rpw_fixture.services.uploads import Uploads

    writer: Any = SimpleNamespace(abort=lambda: None, written=0)
    uploads = Uploads()
    upload = uploads.begin("a", 0, lambda: writer)
    uploads.interrupt(upload)
    assert not upload.is_busy


def use_pool(_: Path) -> None:
    from rpw_fixture.workers.lifecycle import State
    from rpw_fixture.workers.pool import WorkerPool

    pool: Any = WorkerPool.__new__(WorkerPool)
    pool._lock = OwnedLock()
    worker = SimpleNamespace(
        number=1,
        state=State.BUSY,
        retire_reason=None,
        process=SimpleNamespace(pid=os.getpid()),
        key=SimpleNamespace(digest="key"),
    )
    with pool._lock:
        pool._alive, pool._free = {1: worker}, {}
    pool._config = SimpleNamespace(worker_max_rss=1)
    pool._retire_over_memory()
    assert worker.retire_reason is not None


PARTS = (
    Part(name="events.log.EventLog", use=use_event_log, fields={"_records": ()}),
    Part(name="execution.job_queue.JobQueue", use=use_job_queue,
         fields={"_unwanted": (), "_room": ("use_job_queue",), "_pending": ()}),
    Part(name="execution.operation.Operation", use=use_operation,
         fields={"_watchers": (), "_asked_at": ()}),
    Part(name="faults.registry.Faults", use=use_faults, fields={"_armed": ()}),
    Part(name="services.uploads.Uploads", use=use_uploads, fields={"_kept": ()}),
    Part(name="workers.pool.WorkerPool", use=use_pool, fields={"_alive": (), "_free": ()}),
    Part(name="client.outcome.OutputFiles", use=use_output_files, fields={"_known": ()}),
    Part(name="cli.command_process.CommandSignals", use=use_command_signals,
         fields={"_process": ()}),
    Part(name="execution.protocol_race.ProtocolRace", use=use_race, lock="_memory.changed",
         fields={"_failure": (), "_is_over": (), "_second": ("use_race",), "winner": ("use_race",)}),
    Part(name="workers.protocol_memory.ProtocolMemory", use=use_race, lock="changed",
         fields={"asked_twice": ()}),
    Part(name="launching.containers.Containers", use=use_containers, lock="_cleaning",
         fields={"_is_clean": ("close",)}),
    Part(name="processes.spawner.Spawner", use=use_spawner,
         fields={"_link": ("pid",), "_closed": ()}),
    Part(name="processes.spawner.Process", use=use_spawner, fields={"_exit": ()}),
    Part(name="processes.spawner_link.Link", use=use_spawner, fields={"_starts": ()},
         calls=("_transmit", "_end_program")),
    Part(name="report.live._HttpServer", use=use_live_page, fields={"_connections": ()}),
    Part(name="server.Server", use=use_server,
         fields={"_parts": ("prepare", "reset", "_evict", "idle_seconds")}),
    Part(name="testing.endpoint.Endpoint", use=use_server, lock="_client_lock",
         fields={"_client": ()}),
    Part(name="testing.cluster.Cluster", use=use_cluster, lock="_log_lock",
         calls=("_log_outcome",)),
    Part(name="services.calls.sweeper.Sweeper", use=use_sweeper,
         fields={"_thread": ("add", "close")}),
    Part(name="storage.recording_folder.RecordingFolder", use=use_recording,
         fields={"_fd": (), "_given_reasons": ()}),
    Part(name="support.beneath._Implementation", use=use_first_opening,
         fields={"opening": ("use_first_opening",)}),
    Part(name="support.removal._Reported", use=use_reported, fields={"_paths": ()}),
    Part(name="workers.tee.conversation.RecordedConversation", use=use_conversation,
         fields={"_pending": (), "_abilities": (), "_recorded": ("end",)}),
    Part(name="hermeticity.checks.instability.Instability", use=use_instability,
         fields={"_known": ("has_seen_tick", "left_out"), "_tick": ("tick",),
                 "_by_name": ("left_out",)}),
    Part(name="hermeticity.progress.ProgressTracker", use=use_progress,
         fields=dict.fromkeys(("_suites", "_suite", "_total", "_done", "_current", "_starts",
                               "_requests", "_earlier", "_findings", "_phase"), ())),
    Part(name="hermeticity.trials.far.asked_trials.AskedTrials", use=use_asked_trials,
         fields={"_asked": ()}),
    Part(name="hermeticity.trials.far.input_roots.InputRoots", use=use_input_roots,
         fields={"_folders": ()}),
    Part(name="hermeticity.trials.remote.WorkerReuse", use=use_worker_reuse,
         fields={"_seen": ()}),
    Part(name="hermeticity.trials.result_store.ResultStore", use=use_result_store,
         fields={"_has_grown": ("close",)}),
    Part(name="hermeticity.trials.trial_book.TrialBook", use=use_trial_book,
         fields={"_results": (), "_memory": (), "asked": (), "latest": (),
                 "worker_starts": ()}),
)  # fmt: skip


@pytest.mark.parametrize("part", PARTS, ids=lambda part: part.name)
def test_shared_fields_are_used_under_their_lock(
    part: Part, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    guard = Guard(monkeypatch)
    guard.watch(part.owner(), part.lock, part.fields)
    for call in part.calls:
        guard.watch_call(part.owner(), part.lock, call)

    part.use(tmp_path)

    assert not guard.breaches
    kind = part.owner().__name__
    assert guard.used == {f"{kind}.{each}" for each in (*part.fields, *part.calls)}


def test_waiting_actions_are_woken_under_the_lock(tmp_path: Path) -> None:
    use_shared_root(tmp_path)


def test_one_thread_at_a_time_writes_progress(monkeypatch: pytest.MonkeyPatch) -> None:
    from rpw_fixture.cli.check_progress import ProgressLine

    class Stderr(io.StringIO):
        def write(self, text: str) -> int:
            assert line._lock.locked()
            return super().write(text)

    line = ProgressLine()
    monkeypatch.setattr(sys, "stderr", Stderr())
    line._write("text")
    assert sys.stderr.getvalue() == "text"  # type: ignore[attr-defined]
    line.close()


#: Classes whose locks are looked at in other tests, which make threads meet.
ELSEWHERE = {"cli.check_progress.ProgressLine", "storage.blob_index.BlobIndex"}


def test_every_lock_of_the_package_is_looked_at() -> None:
    known = {*LOCKS, *(each.name for each in PARTS), *ELSEWHERE}
    package = ROOT / "rpw_fixture"
    found = set()
    for path in package.rglob("*.py"):
        content = path.read_bytes()
        if b"threading" not in content:
            continue
        lines = [each.line for each in changes_of("m", content) if each.kind is Kind.LOCK]
        name = ".".join(path.relative_to(package).with_suffix("").parts).removesuffix(".__init__")
        for node in ast.walk(ast.parse(content)):
            if isinstance(node, ast.ClassDef):
                inside = range(node.lineno, (node.end_lineno or 0) + 1)
                found |= {f"{name}.{node.name}" for line in lines if line in inside}
    assert len(found) > 50
    assert found - known == set()
