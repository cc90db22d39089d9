"""Workers that start where another one ended: what it left must not change their results."""

from pathlib import Path

import pytest

from rpw_fixture.hermeticity.findings.report import Report, Status
from tests.hermeticity.samples import codes, run, stage

COMPILE = "    options = Options(request.expanded_arguments())\n"
CACHE = "_CACHE_ENTRIES = 256\n"


def edited(folder: Path, *changes: tuple[str, str], worker: str = "") -> Path:
    """Return a suite whose well-behaved tool is changed: text after these lines."""
    suite = stage(folder / "suite", "good.py", worker=worker, with_failure=True)
    tool = suite.parent / "tools" / "good.py"
    text = tool.read_text()
    for old, new in changes:
        assert text.count(old) == 1
        text = text.replace(old, old + new)
    tool.write_text(text)
    return suite


def state_of(report: Report, code: str) -> tuple[str, str]:
    (state,) = [each for each in report.checks if each.code == code]
    return str(state.status), state.reason


def test_the_polluter_of_a_stored_result_is_named(tmp_path: Path) -> None:
    suite = stage(tmp_path / "suite", "trusts_store.py")
    report = run(suite, "RPW202,RPW203,RPW204,RPW214")
    told = {(each.code, each.victim, each.polluters) for each in report.findings}
    assert told == {("RPW214", "alpha", ("alpha",)), ("RPW214", "beta", ("beta",))}
    assert "(other configuration) had ended" in report.findings[0].summary


def test_a_store_by_content_is_no_finding(tmp_path: Path) -> None:
    store = (
        "    os.makedirs(os.environ['HOME'] + '/store', exist_ok=True)\n"
        "    for each in options.inputs:\n"
        "        content = open(request.resolve(each), 'rb').read()\n"
        "        open(os.environ['HOME'] + '/store/' + hashlib.sha256(content).hexdigest(), 'wb')"
        ".write(content)\n"
    )
    report = run(edited(tmp_path, (COMPILE, store)), "RPW214")
    assert report.findings == ()
    assert state_of(report, "RPW214")[0] == Status.PASSED


@pytest.mark.parametrize("folder", ["os.environ['HOME']", "os.environ['TMPDIR']", "'.'"])
def test_a_count_that_survives_is_found_wherever_it_is(tmp_path: Path, folder: str) -> None:
    count = (
        f"_COUNT = os.path.join({folder}, 'count.txt')\n"
        "_started_after = len(open(_COUNT).read()) if os.path.exists(_COUNT) else 0\n"
    )
    report = run(
        edited(
            tmp_path,
            (CACHE, count),
            (
                COMPILE,
                "    open(_COUNT, 'a').write('x')\n    options.header += 'x' * _started_after\n",
            ),
        ),
        "RPW202,RPW214",
    )
    assert codes(report) == {"RPW214"}
    assert report.has_errors


def test_an_output_that_is_taken_from_a_store_without_its_text_is_a_warning(tmp_path: Path) -> None:
    text = (
        "    mark = os.path.join(os.environ['HOME'], os.path.basename(options.output))\n"
        "    known = os.path.exists(mark) and mark not in _marked\n"
        "    open(mark, 'w').close()\n    _marked.add(mark)\n"
        "    if not known and not options.failure:\n"
        "        compile_quietly(request, options)\n"
        "        return WorkResponse(0, f'{options.inputs[0]}: a warning\\n')\n"
    )
    quietly = (
        "_marked = set()\n\ndef compile_quietly(request, options):\n"
        "    text = [options.header] + [translate(request, path) for path in options.inputs]\n"
        "    write_output(request, options.output, '\\n'.join(text) + '\\n')\n"
    )
    report = run(edited(tmp_path, (CACHE, quietly), (COMPILE, text)), "RPW214")
    assert {(each.code, str(each.severity)) for each in report.findings} == {("RPW214", "warning")}


def test_a_leak_of_a_warm_worker_is_not_blamed_on_the_one_before(tmp_path: Path) -> None:
    suite = stage(tmp_path / "suite", "leaky.py")
    report = run(suite, "RPW202,RPW214")
    assert codes(report) == {"RPW202"}
    assert state_of(report, "RPW214")[0] == Status.PASSED


def test_a_lock_that_a_killed_worker_left_is_found_with_the_request(tmp_path: Path) -> None:
    report = run(stage(tmp_path / "suite", "keeps_lock.py"), "RPW202,RPW214,RPW215")
    assert codes(report) == {"RPW215"}
    assert {each.victim for each in report.findings} == {"alpha", "beta"}
    assert "was killed while it worked on alpha" in report.findings[0].summary


KEEP = (
    "    for each in options.inputs:\n"
    "        kept = os.path.join(os.environ['HOME'], each.replace('/', '-'))\n"
    "        if not os.path.exists(kept):\n"
    "            file = open({new}, 'w')\n"
    "            file.write('complete')\n"
    "            file.close()\n"
    "            os.replace({new}, kept)\n"
    "        options.header += open(kept).read()\n"
)


@pytest.mark.parametrize(("new", "found"), [("kept", {"RPW215"}), ("kept + '.new'", set())])
def test_half_a_file_that_a_killed_worker_left_is_found(
    tmp_path: Path, new: str, found: set[str]
) -> None:
    suite = edited(tmp_path, (COMPILE, KEEP.format(new=new)))
    report = run(suite, "RPW202,RPW214,RPW215")
    assert codes(report) == found
    assert {each.victim for each in report.findings} == ({"beta"} if found else set())


def test_what_a_cancelled_request_leaves_is_found(tmp_path: Path) -> None:
    suite = stage(
        tmp_path / "suite", "multiplex.py", worker="multiplex = true\ncancellation = true"
    )
    tool = suite.parent / "tools" / "good.py"
    text = tool.read_text()
    text = text.replace(
        CACHE, f"{CACHE}_MARK = os.environ['TMPDIR'] + '/at-work'\n_found = os.path.exists(_MARK)\n"
    )
    work = (
        "    open(_MARK, 'w').close()\n"
        "    for _ in range(40):\n"
        "        time.sleep(0.001)\n"
        "        request.checkpoint()\n"
        "    os.unlink(_MARK)\n"
        "    options.header += 'again' * _found\n"
    )
    tool.write_text(text.replace(COMPILE, COMPILE + work))
    report = run(suite, "RPW214,RPW215")
    assert codes(report) == {"RPW215"}
    assert any("whose request was cancelled" in each.summary for each in report.findings)


def test_nothing_passes_where_no_request_can_be_interrupted(tmp_path: Path) -> None:
    suite = stage(tmp_path / "suite", "good.py", headers=[])
    text = (
        '[[action]]\nname = "failing"\narguments = ["--out", "x", "--fail", "no"]\nexit_code = 1\n'
    )
    suite.write_text(suite.read_text() + text)
    status, reason = state_of(run(suite, "RPW215"), "RPW215")
    assert (status, reason) == ("skipped", "no action succeeds, so there is nothing to interrupt")
