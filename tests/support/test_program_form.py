"""The program knows in which form it runs, and starts itself again in that form."""

from __future__ import annotations

import sys

import pytest

from rpw_fixture.cli import main
from rpw_fixture.support.program_form import (
    ProgramForm,
    program_command,
    program_form,
    program_name,
)

FORMS = [
    ({}, ProgramForm.INSTALLED, [sys.executable, "-m", "rpw_fixture"], "python -m rpw_fixture"),
    ({"rpw_fixture_file": "/a/rpw-fixture"}, ProgramForm.FILE, ["/a/rpw-fixture"], "rpw-fixture"),
    (
        {"rpw_fixture_zipapp": "/a/b.pyz"},
        ProgramForm.ZIPAPP,
        [sys.executable, "/a/b.pyz"],
        "python3 /a/b.pyz",
    ),
]


@pytest.mark.parametrize(("options", "form", "command", "name"), FORMS)
def test_forms(
    options: dict[str, str],
    form: ProgramForm,
    command: list[str],
    name: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(sys, "_xoptions", options)
    assert program_form() is form
    assert program_command() == command
    assert program_name() == name
    with pytest.raises(SystemExit):
        main(["--version"])
    assert f"({form.value})" in capsys.readouterr().out
