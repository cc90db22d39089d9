"""``trial`` answers the question in the working directory."""

from __future__ import annotations

from pathlib import Path

import pytest

from rpw_fixture.cli import main
from rpw_fixture.hermeticity.suites.suite import SuiteWorker
from rpw_fixture.hermeticity.trials import documents
from rpw_fixture.hermeticity.trials.far import question as files
from rpw_fixture.hermeticity.trials.far.question import Question


def test_effects_are_answered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    worker = documents.write_worker(SuiteWorker(command=("true",)))
    (tmp_path / files.WORKER).mkdir()
    (tmp_path / files.WORKER / files.DOCUMENT).write_bytes(worker.content)
    question = Question(worker=str(worker.digest), effects='{"umask": 63}')
    (tmp_path / files.QUESTION).write_bytes(files.write(question))
    monkeypatch.chdir(tmp_path)
    assert main(["trial"]) == 0
    answer = files.read_answer((tmp_path / files.ANSWER).read_bytes())
    assert '"umask":63' in answer.effects


@pytest.mark.parametrize("content", [None, b"", b"[]", b'{"unknown": 1}'])
def test_what_is_no_question_is_refused(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    content: bytes | None,
) -> None:
    monkeypatch.chdir(tmp_path)
    if content is not None:
        (tmp_path / files.QUESTION).write_bytes(content)
    assert main(["trial"]) == 2
    assert "the question here can't be answered" in capsys.readouterr().err
