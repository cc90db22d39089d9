"""Each example has what a rules repository needs: rule, suite, tests, a CI file, a short README."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
import yaml

REPOSITORIES = sorted(path.parent for path in Path(__file__).parent.glob("*/WORKSPACE"))


def test_there_is_one_for_each_language() -> None:
    names = [path.name for path in REPOSITORIES]
    assert names == ["rules_java_properties", "rules_node_bundle", "rules_upper"]


@pytest.mark.parametrize("repository", REPOSITORIES, ids=lambda path: path.name)
def test_the_ci_file_checks_a_suite_whose_inputs_exist(repository: Path) -> None:
    jobs = yaml.safe_load((repository / ".github/workflows/worker.yml").read_text())["jobs"]
    steps = jobs["worker"]["steps"]
    (check,) = [each["with"] for each in steps if "rpw-fixture/" in each.get("uses", "")]
    suite = tomllib.loads((repository / check["suite"]).read_text())
    assert {action.get("exit_code", 0) for action in suite["action"]} == {0, 1}
    for action in suite["action"]:
        assert all(list(repository.glob(pattern)) for pattern in action["inputs"])
    assert any("pytest" in each.get("run", "") for each in steps)


@pytest.mark.parametrize("repository", REPOSITORIES, ids=lambda path: path.name)
def test_the_readme_is_short_and_names_files_that_exist(repository: Path) -> None:
    text = (repository / "README.md").read_text()
    assert len(text.splitlines()) <= 14
    named = [each for each in text.split("`")[1::2] if "/" in each]
    assert named
    assert [each for each in named if not (repository / each).exists()] == []
