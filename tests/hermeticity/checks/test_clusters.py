"""Actions that stand for others."""

from rpw_fixture.client.inputs import File
from rpw_fixture.hermeticity.checks.clusters import clusters, representatives
from rpw_fixture.hermeticity.suites.suite import SuiteAction


def action(name: str, *options: str, size: int = 10, exit_code: int = 0) -> SuiteAction:
    return SuiteAction(
        name=name,
        arguments=(*options, f"--out=out/{name}.txt", f"src/{name}.c"),
        inputs={f"src/{name}.c": File(b"x" * size)},
        outputs=(f"out/{name}.txt",),
        exit_code=exit_code,
    )


ALIKE = tuple(action(f"plain{number}") for number in range(40))
DEBUG = action("debugged", "-g")
LARGE = action("large", size=1 << 20)
FAILING = action("failing", exit_code=1)
ALL = (*ALIKE[:20], DEBUG, LARGE, *ALIKE[20:], FAILING)


def test_options_sizes_and_expected_ends_make_clusters() -> None:
    assert {len(each) for each in clusters(ALL)} == {40, 1}
    assert len(clusters(ALL)) == 4


def test_values_of_options_make_no_clusters() -> None:
    levels = [action(f"level{number}", f"-O{number}", f"--jobs={number}") for number in range(4)]
    assert len(clusters(levels)) == 1


def test_each_cluster_is_represented_before_any_twice() -> None:
    assert set(representatives(ALL, 4, of_each=3)) == {ALIKE[0], DEBUG, LARGE, FAILING}
    found = representatives(ALL, 12, of_each=3)
    assert len(found) == 6
    assert list(found) == [each for each in ALL if each in found]


def test_with_few_places_rare_clusters_come_first() -> None:
    assert ALIKE[0] not in representatives(ALL, 3, of_each=3)
    assert representatives((), 3, of_each=3) == ()
