"""What the command line says to flags and variables that are wrong: exit code 2, and what may be meant."""

from __future__ import annotations

from pathlib import Path

import pytest

from rpw_fixture.cli import main
from rpw_fixture.config.flags import flags


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["--jbos", "3"], "unrecognized arguments: --jbos 3; did you mean '--jobs'?"),
        (["serve", "--max-worker=3"], "did you mean '--max-workers'?"),
        (["check", "--no-locat", "suite.toml"], "unrecognized arguments: --no-locat"),
        (["--jobs", "-1"], "--jobs must be at least 0, not -1"),
        (["--idle-timeout", "nan"], "--idle-timeout must be at least 0, not nan"),
        (["--idle-timeout", "inf"], "--idle-timeout must be at least 0, not inf"),
        (["--abandoned-timeout", "1e12"], "--abandoned-timeout must be at most 31622400"),
        (["--worker-max-rss", "1G"], "invalid int value: '1G'"),
        (["--isolation", "landlok"], "invalid choice: 'landlok'"),
        (["--isolation", "landlok"], "; did you mean 'landlock'?"),
        (["chek", "suite.toml"], "did you mean 'check'?"),
        (["--root", ""], "--root must not be empty"),
        (["--record", ""], "--record must not be empty"),
        (["--listen", "unix:"], "--listen 'unix:' names no path"),
        (["init", ""], "the path is empty"),
        (["record", "", "--", "true"], "the path is empty"),
        (["record", "new", "--protocol", "json", "--", "true"], "options stand before DIR"),
        (["check", ""], "the path is empty"),
        (
            ["check", "suite.toml", "--select", "RPW1", "--ignore", "RPW"],
            "nothing is left to check",
        ),
        (["explain", "pyproject.toml", ""], "the subject is empty"),
    ],
)
def test_a_flag_that_can_not_be_used_is_wrong_use(
    arguments: list[str],
    problem: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.chdir(tmp_path)
    try:
        code = main(arguments)
    except SystemExit as error:
        code = int(error.code or 0)

    assert code == 2
    assert problem in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("variable", "value", "problem"),
    [
        ("JBOS", "3", "did you mean 'RPW_FIXTURE_JOBS'?"),
        ("JOBS", "-3", "RPW_FIXTURE_JOBS must be at least 0, not -3"),
        ("IDLE_TIMEOUT", "-inf", "RPW_FIXTURE_IDLE_TIMEOUT must be at least 0, not -inf"),
    ],
)
def test_a_variable_that_can_not_be_used_is_wrong_use(
    variable: str,
    value: str,
    problem: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(f"RPW_FIXTURE_{variable}", value)

    assert main([]) == 2
    assert problem in capsys.readouterr().err


def test_help_is_short_and_the_whole_help_has_everything(
    capsys: pytest.CaptureFixture[str],
) -> None:
    texts = []
    for flag in ("--help", "--help-all"):
        with pytest.raises(SystemExit) as ended:
            main(["serve", flag])
        assert ended.value.code == 0
        texts.append(capsys.readouterr().out)
    short, whole = texts
    assert short.startswith("usage: rpw-fixture serve [options]\n")
    assert "--jobs" in short
    assert "--container-global-argument" not in short
    assert "$RPW_FIXTURE" not in short
    for flag in flags():
        assert f"--{flag.name}" in whole
        assert f"[${flag.environment}]" in whole.replace("\n", " ")


def test_usage_after_a_mistake_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["check", "--nonsense", "suite.toml"])
    assert capsys.readouterr().err.splitlines()[0] == "usage: rpw-fixture check [options] [SUITE]"
