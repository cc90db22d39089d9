"""What makes a result another one, and what does not."""

import os
from dataclasses import replace
from pathlib import Path

from rpw_fixture.client.inputs import File, Symlink
from rpw_fixture.hermeticity.suites.suite import SuiteAction, SuiteWorker
from rpw_fixture.hermeticity.trials.trial import Trial, Variation, steps
from rpw_fixture.hermeticity.trials.trial_keys import TrialKeys

ONE, OTHER = (
    SuiteAction(name=name, arguments=("--in", "src"), inputs={"src": File(b"text")})
    for name in ("one", "other")
)
WORKER = SuiteWorker(command=("sh", "tool.sh"), tool_inputs={"tool.sh": File(b"exit")})
TRIAL = Trial(history=steps(ONE, OTHER))


def key(trial: Trial = TRIAL, worker: SuiteWorker = WORKER, search_path: str = os.defpath) -> str:
    return TrialKeys(worker, search_path).of(trial)


def test_equal_questions_have_equal_keys() -> None:
    again = SuiteAction(name="one", arguments=("--in", "src"), inputs={"src": File(b"text")})
    assert key() == key(Trial(history=steps(again, OTHER)))


def test_everything_that_a_result_depends_on_is_in_the_key() -> None:
    edited = ONE.with_content("src", b"next")
    others = [
        key(Trial(history=steps(OTHER, ONE))),
        key(Trial(history=steps(edited, OTHER))),
        key(replace(TRIAL, run=1)),
        key(replace(TRIAL, started_with=edited)),
        key(replace(TRIAL, variation=Variation(factor="umask", umask=0o77))),
        key(worker=replace(WORKER, timeout=11.0)),
        key(worker=replace(WORKER, tool_inputs={"tool.sh": File(b"exit 1")})),
        key(worker=replace(WORKER, environment=(("LANG", "C"),))),
        key(search_path=f"/opt/none:{os.defpath}"),
    ]
    assert len({key(), *others}) == len(others) + 1


def test_another_action_does_not_matter() -> None:
    alone = Trial(history=steps(ONE))
    keys = TrialKeys(WORKER, os.defpath)
    before = keys.of(alone)
    keys.of(Trial(history=steps(OTHER.with_content("src", b"next"))))
    assert keys.of(alone) == before


def test_the_program_on_the_search_path_is_in_the_key(tmp_path: Path) -> None:
    program = tmp_path / "compiler"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    worker = SuiteWorker(command=("compiler",))
    before = key(worker=worker, search_path=str(tmp_path))
    assert key(worker=worker, search_path=str(tmp_path)) == before
    program.write_text("#!/bin/sh\nexit\n")
    assert key(worker=worker, search_path=str(tmp_path)) != before


def test_a_link_to_the_program_is_followed(tmp_path: Path) -> None:
    for version in ("one", "two"):
        (tmp_path / version).write_text("#!/bin/sh\n")
        (tmp_path / version).chmod(0o755)
        os.utime(tmp_path / version, (1, 1))
    link = tmp_path / "compiler"
    link.symlink_to("one")
    worker = SuiteWorker(command=("compiler",))
    before = key(worker=worker, search_path=str(tmp_path))
    link.unlink()
    link.symlink_to("two")
    assert key(worker=worker, search_path=str(tmp_path)) != before


def test_files_outside_that_are_named_are_in_the_key(tmp_path: Path) -> None:
    """They stand in an argument, a variable, a script or a link."""
    style = tmp_path / "style.txt"
    script = File(f"#!/bin/sh\nexec {style} --more\n".encode())
    workers = [
        replace(WORKER, command=("sh", f"--style={style}")),
        replace(WORKER, environment=(("STYLES", f"/none:{style}"),)),
        replace(WORKER, tool_inputs={"tool.sh": script}),
        replace(WORKER, tool_inputs={"link": Symlink(str(style))}),
        replace(WORKER, readable=(str(tmp_path),)),
    ]
    action = SuiteAction(name="one", arguments=(f"@{style}",))
    trials = [TRIAL] * len(workers) + [Trial(history=steps(action))]
    workers.append(WORKER)
    before = [key(*each) for each in zip(trials, workers, strict=True)]
    style.write_text("fancy")
    after = [key(*each) for each in zip(trials, workers, strict=True)]
    assert all(one != other for one, other in zip(before, after, strict=True))


def test_a_folder_that_only_gets_more_files_is_the_same(tmp_path: Path) -> None:
    worker = replace(WORKER, environment=(("TMP_OF_TOOL", str(tmp_path)),))
    before = key(worker=worker)
    (tmp_path / "more").write_text("")
    assert key(worker=worker) == before
