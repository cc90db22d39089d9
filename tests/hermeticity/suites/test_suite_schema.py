"""The JSON schema of suites: accepts every suite that loads, refuses what the reader refuses."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from rpw_fixture.cli import main
from rpw_fixture.errors import ConfigError
from rpw_fixture.hermeticity.suites.suite_file import load
from rpw_fixture.hermeticity.suites.suite_schema import SCHEMA
from tests.hermeticity.samples import stage

ROOT = Path(__file__).resolve().parents[3]
VALID = '[worker]\ncommand = ["x"]\n[[action]]\nname = "a"\n'


def valid(document: dict[str, Any]) -> bool:
    return bool(jsonschema.Draft202012Validator(SCHEMA).is_valid(document))


def test_the_schema_is_one_and_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    assert main(["check", "--schema"]) == 0
    assert json.loads(capsys.readouterr().out) == SCHEMA


def documented() -> list[tuple[str, str]]:
    """Return every suite in the repository: files, and blocks of documents."""
    found = [
        (str(path), path.read_text())
        for path in ROOT.glob("**/*suite*.toml")
        if not {".git", ".venv"} & set(path.relative_to(ROOT).parts)
    ]
    for path in (ROOT / "README.md", *(ROOT / "docs").rglob("*.md")):
        blocks = re.findall(r"^```toml\n(.*?)^```", path.read_text(), re.MULTILINE | re.DOTALL)
        found += [(str(path), each) for each in blocks if "[[action]]" in each]
    return found


def test_every_suite_in_the_repository_is_valid(tmp_path: Path) -> None:
    staged = stage(tmp_path / "s", "good.py", with_failure=True, worker="multiplex = true")
    suites = [*documented(), ("staged", staged.read_text())]
    assert len(suites) >= 3
    for where, text in suites:
        jsonschema.validate(tomllib.loads(text), SCHEMA, jsonschema.Draft202012Validator)
        assert where


@pytest.mark.parametrize(
    "text",
    [
        VALID + "colour = 1\n",
        VALID.replace("command", "comand"),
        VALID.replace('["x"]', '"x"'),
        VALID.replace('["x"]', "[]"),
        VALID.replace('["x"]', '["x", 1]'),
        VALID.replace('["x"]', '["x"]\nprotocol = "xml"'),
        VALID.replace('["x"]', '["x"]\ntimeout = 0'),
        VALID.replace('["x"]', '["x"]\ntimeout = "10"'),
        VALID.replace('["x"]', '["x"]\nmultiplex = 1'),
        VALID.replace('["x"]', '["x"]\nenv = { A = 1 }'),
        VALID.replace('"a"', '"a/b"'),
        VALID.replace('"a"', '"a"\nexit_code = "1"'),
        VALID.replace('"a"', '"a"\narguments = ["a\\nb"]'),
        '[worker]\ncommand = ["x"]\n',
        '[[action]]\nname = "a"\n',
    ],
)
def test_what_the_reader_refuses_is_invalid(text: str, tmp_path: Path) -> None:
    assert valid(tomllib.loads(VALID))
    path = tmp_path / "suite.toml"
    path.write_text(VALID)
    load(path)
    path.write_text(text)
    with pytest.raises(ConfigError):
        load(path)
    assert not valid(tomllib.loads(text))
