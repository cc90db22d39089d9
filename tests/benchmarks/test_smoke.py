"""Every benchmark still runs, with as few samples as possible; the figures are not looked at."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from . import FAMILIES
from .__main__ import main, measure
from .figures import Effort, Figure, UnavailableError, summary, table
from .noise import Noise

#: Real Bazel has its own tests, which are as long as this file's all together.
PAGE = Path(__file__).parents[2] / "docs/performance.md"
_FAST = [family for family in FAMILIES if family != "bazel"]


@pytest.mark.parametrize("family", _FAST)
def test_a_family_yields_figures_that_the_table_and_json_can_hold(family: str) -> None:
    try:
        found = list(measure(family, Effort.SMOKE))
    except UnavailableError as error:
        pytest.skip(str(error))
    assert found
    assert len(table(found).splitlines()) == len(found) + 2
    assert json.loads(json.dumps([each.as_dict() for each in found]))


def test_noise_is_reported_in_times_of_the_shortest_piece() -> None:
    noise = Noise()
    noise.sample(pieces=20)
    assert 1 <= noise.median <= noise.tenth
    assert noise.as_dict().keys() == {"median", "one_in_ten"}
    assert ("measure again" in noise.text()) is not noise.is_quiet


def test_several_runs_are_summarised() -> None:
    runs = [Figure(name="an action", ours=ours, floor=2.0, target=1.5) for ours in (2.0, 4.0, 3.0)]
    (line,) = summary([*runs]).splitlines()[2:]
    cells = [each.strip() for each in line.strip("|").split("|")]
    assert cells == ["an action", "3 ms", "1.50", "1.00 to 2.00", "≤ 1.5 ×", "2 of 3", ""]


def test_every_module_with_figures_is_a_family() -> None:
    folder = Path(__file__).parent
    modules = [each.stem for each in folder.glob("*.py") if "\ndef figures(" in each.read_text()]
    assert sorted(modules) == sorted(FAMILIES)


def test_the_command_writes_what_it_shows(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, page = tmp_path / "figures.json", tmp_path / "page.md"
    page.write_text(PAGE.read_text("utf-8"), encoding="utf-8")
    arguments = ["--smoke", "--only", "find_missing", "--json", str(file), "--page", str(page)]
    assert main(arguments) == 0
    report = json.loads(file.read_text())
    shown = capsys.readouterr().out
    assert shown.strip() in page.read_text()
    assert page.read_text().count("| figure ") == PAGE.read_text("utf-8").count("| figure ")
    assert report["effort"] == "smoke"
    assert report["noise"]["median"] >= 1
    assert all(each["name"] in shown for each in report["figures"])


@pytest.mark.parametrize(
    ("figure", "is_met"),
    [
        (Figure(name="at its target", ours=3.0, floor=2.0, target=1.5), True),
        (Figure(name="beyond it", ours=3.2, floor=2.0, target=1.5), False),
        (Figure(name="absolute", ours=12.0, target=15), True),
        (
            Figure(name="beside a floor", ours=16, floor=20, target=15, is_floor_informative=True),
            False,
        ),
        (Figure(name="without a target", ours=3.0, floor=2.0), None),
    ],
    ids=lambda value: value.name if isinstance(value, Figure) else None,
)
def test_a_target_is_for_the_ratio_if_there_is_one(figure: Figure, is_met: bool | None) -> None:
    assert figure.is_met is is_met
