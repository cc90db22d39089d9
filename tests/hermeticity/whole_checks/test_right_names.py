"""Bugs that look like others are reported under their own code alone."""

from pathlib import Path

import pytest

from rpw_fixture.hermeticity.trials import worker_session
from tests.hermeticity.samples import codes, run, stage
from tests.hermeticity.whole_checks.test_survivors import CACHE, COMPILE

BYTECODE = "sys.dont_write_bytecode = True"
DONE = "    return WorkResponse()\n"
START_UP = "RPW103,RPW109,RPW202,RPW203,RPW204,RPW214,RPW215,RPW401"


def changed(folder: Path, *changes: tuple[str, str], shared: tuple[str, ...] = ()) -> Path:
    """Return a suite whose well-behaved tool has some texts replaced."""
    suite = stage(folder / "suite", "good.py", shared=shared, with_failure=True)
    tool = suite.parent / "tools" / "good.py"
    text = tool.read_text()
    for old, new in changes:
        assert text.count(old) == 1
        text = text.replace(old, new)
    tool.write_text(text)
    return suite


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("os.path.abspath(output)", {"RPW210"}),
        ("os.environ['HOME']", {"RPW209"}),
        ("os.environ['TMPDIR'] + '/x'", {"RPW209"}),
    ],
)
def test_the_path_of_the_run_in_a_response_has_one_code(
    tmp_path: Path, path: str, expected: set[str]
) -> None:
    suite = changed(tmp_path, (DONE, f"    return WorkResponse(0, 'see ' + {path})\n"))
    report = run(suite, "RPW201,RPW202,RPW205,RPW209,RPW210,RPW212")
    assert codes(report) == expected
    assert {str(each.severity) for each in report.findings} == {"warning"}
    factors = {each.summary.rpartition(" ")[2] for each in report.findings}
    assert len(factors) == 1


@pytest.mark.parametrize(
    ("style", "expected"),
    [("''", set()), ("open('src/style.txt').read()", {"RPW401"})],
)
def test_bytecode_that_is_removed_after_the_start_is_no_unmarked_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, style: str, expected: set[str]
) -> None:
    # It is written once the first request is there, or none comes: after the staging, or long before.
    wait = "import select\nselect.select([0], [], [], 0.25)"
    start = f"style = {style}\nnames = []\n"
    use = (
        "    names[:] = names or sorted(os.listdir(os.path.dirname(__file__)))\n"
        "    options.header += style + ' '.join(names)\n"
    )
    suite = changed(
        tmp_path,
        (BYTECODE, wait),
        (CACHE, CACHE + start),
        (COMPILE, COMPILE + use),
        shared=("src/style.txt",),
    )
    monkeypatch.setattr(worker_session, "_REST", 0.4)
    assert codes(run(suite, "RPW203,RPW401")) == expected


@pytest.mark.parametrize(
    "start",
    [
        "style = open('src/style.txt').read()\n",  # the process ends without it
        "style = open('src/style.txt').read() if os.path.exists('src/style.txt') else None\n",
    ],
)
def test_a_worker_that_needs_an_unmarked_file_is_not_accused_of_more(
    tmp_path: Path, start: str
) -> None:
    use = (
        "    if style is None:\n        raise ToolError('no style')\n    options.header += style\n"
    )
    suite = changed(
        tmp_path, (CACHE, CACHE + start), (COMPILE, COMPILE + use), shared=("src/style.txt",)
    )
    assert codes(run(suite, START_UP)) == {"RPW401"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("f'src/shared.txt: used {len(_count)} times\\n' * (len(_count) > 1)", {"RPW202"}),
        ("f'{options.inputs}: number {len(_count)}\\n'", {"RPW202"}),
        ("'made ' + ' '.join(_count)", {"RPW212"}),
    ],
)
def test_only_text_of_the_earlier_request_is_a_leak_of_diagnostics(
    tmp_path: Path, text: str, expected: set[str]
) -> None:
    suite = changed(
        tmp_path,
        (CACHE, f"{CACHE}_count = []\n"),
        (DONE, f"    _count.append(options.output)\n    return WorkResponse(0, {text})\n"),
        shared=("src/shared.txt",),
    )
    assert codes(run(suite, "RPW202,RPW212,RPW218")) == expected


WRITE = """\
        with open(request.resolve(path), "wb") as file:
            file.write(data)
"""
ZIP = """\
        with zipfile.ZipFile(request.resolve(path), "w") as file:
            file.writestr("text", data)
"""


def test_times_of_two_seconds_in_an_archive_are_nondeterminism_only(tmp_path: Path) -> None:
    suite = changed(tmp_path, (CACHE, f"{CACHE}import zipfile\n"), (WRITE, ZIP))
    report = run(suite, "RPW105,RPW107,RPW201,RPW202,RPW203,RPW205,RPW210,RPW211,RPW214,RPW215")
    assert codes(report) == {"RPW201"}


WORST = """
worst = 0


def remember_worst(request):
    global worst
    try:
        compile_files(request)
    except ToolError as error:
        worst = 1
        return WorkResponse(worst, str(error))
    return WorkResponse(worst)


if __name__"""


def test_a_failure_that_spoils_all_later_results_has_one_code(tmp_path: Path) -> None:
    """The tool accepts unknown options, and the check can't know what a failing action should write."""
    refusal = f"{COMPILE}    if b'ERROR' in rpw_worker.read_file(request, options.inputs[0]):\n"
    suite = changed(
        tmp_path,
        ("\nif __name__", WORST),
        ("rpw_worker.main(compile_files)", "rpw_worker.main(remember_worst)"),
        ('raise ToolError(f"{name}: unknown option, or its value is missing")', "return"),
        (COMPILE, f"{refusal}        raise ToolError('an error')\n"),
    )
    text, _, _ = suite.read_text().rpartition("[[action]]")
    text += '[[action]]\nname = "bad"\narguments = ["--in", "src/bad.txt", "--out", "bad.txt"]\n'
    suite.write_text(f'{text}inputs = ["src/bad.txt"]\noutputs = []\nexit_code = 1\n')
    # With one letter changed, the one fails, and the other one succeeds.
    (suite.parent / "src" / "alpha.txt").write_text("ERQOR\n")
    (suite.parent / "src" / "bad.txt").write_text("ERROR\n")
    report = run(suite, "RPW109,RPW202,RPW203,RPW204,RPW208,RPW211,RPW214")
    assert codes(report) == {"RPW109"}
    assert {each.polluters for each in report.findings} == {("bad",)}


def test_a_lock_that_a_failure_leaves_is_no_memory_of_a_missing_input(tmp_path: Path) -> None:
    """Unknown options are refused before the lock is there, so they spoil nothing."""
    lock = "    lock = os.environ['TMPDIR'] + '/lock'\n"
    suite = changed(
        tmp_path,
        (
            COMPILE,
            (
                f"{COMPILE}{lock}    if os.path.exists(lock):\n        raise ToolError('in use')\n"
                "    open(lock, 'w').close()\n"
            ),
        ),
        (DONE, f"    os.unlink(lock)\n{DONE}"),
    )
    text, _, _ = suite.read_text().rpartition("[[action]]")
    suite.write_text(text)
    report = run(suite, "RPW109,RPW202,RPW203,RPW204")
    assert codes(report) == {"RPW109"}
    assert "after the failing request " in report.findings[0].summary


def test_a_verbosity_that_stays_is_a_state(tmp_path: Path) -> None:
    suite = changed(
        tmp_path,
        ("\nif __name__", "\nverbose = []\n\n\nif __name__"),
        (COMPILE, f"{COMPILE}    verbose.extend([1] * request.verbosity)\n"),
        (DONE, "    return WorkResponse(0, 'in detail' if verbose else '')\n"),
    )
    (finding,) = run(suite, "RPW202,RPW212").findings
    assert (finding.victim, finding.polluters) == ("alpha", ("alpha",))
    assert "check edited the request of alpha: its verbosity is 10" in finding.evidence


def test_a_worker_that_dies_of_an_equal_request_is_not_blamed_for_failures(tmp_path: Path) -> None:
    suite = changed(
        tmp_path,
        ("\nif __name__", "\nlast = []\n\n\nif __name__"),
        (
            COMPILE,
            (
                f"    if request.arguments in last:\n        os._exit(3)\n"
                f"    last[:] = [request.arguments]\n{COMPILE}"
            ),
        ),
    )
    (finding,) = run(suite, "RPW103,RPW109,RPW202").findings
    assert finding.code == "RPW103"
    assert finding.polluters == (finding.victim,)
