"""The inputs that a server lists must not change a result."""

from pathlib import Path

from rpw_fixture.hermeticity.findings.codes import Severity
from tests.hermeticity.samples import run, stage


def test_digests_taken_for_hex_are_found_and_the_lists_that_show_it_named(tmp_path: Path) -> None:
    report = run(stage(tmp_path / "suite", "decodes_digests.py", headers=["alpha"]), "RPW209")
    (finding,) = report.findings
    assert (finding.severity, finding.victim) == (Severity.ERROR, "alpha")
    assert finding.summary == "the result of alpha depends on the environment: listed inputs"
    assert "lists all inputs with raw digest bytes" in finding.evidence
    assert "the same with all inputs with serialized Digest messages" in finding.evidence


def test_one_entry_for_all_that_is_not_listed_is_a_warning_with_its_polluter(
    tmp_path: Path,
) -> None:
    suite = stage(tmp_path / "suite", "decodes_digests.py")
    patch(
        suite, "    if path not in request.inputs:\n        return read_file(request, path)\n", ""
    )
    patch(suite, "bytes.fromhex(request.inputs[path].decode())", "request.inputs.get(path)")
    (finding,) = run(suite, "RPW209").findings
    assert (finding.severity, finding.polluters) == (Severity.WARNING, ("alpha",))
    assert "if the request lists no inputs" in finding.evidence


def test_a_cache_by_path_and_digest_may_miss_when_digests_change(tmp_path: Path) -> None:
    suite = stage(tmp_path / "suite", "decodes_digests.py")
    patch(suite, "bytes.fromhex(request.inputs[path].decode())", "(path, request.inputs[path])")
    assert run(suite, "RPW209,RPW203").findings == ()


def test_changing_digests_that_reach_an_output_are_found(tmp_path: Path) -> None:
    suite = stage(tmp_path / "suite", "decodes_digests.py", headers=["alpha"])
    patch(suite, "key = bytes.fromhex(request.inputs[path].decode())", "key = b''")
    told = "len({*request.inputs.values()} & seen) % 7"
    remember = "seen |= {*request.inputs.values()}; return str(odd).encode()"
    patch(
        suite,
        "    if key not in cache:\n",
        f"    odd = {told}; {remember}\n    if key not in cache:\n",
    )
    patch(
        suite,
        "read_file = rpw_worker.read_file\n",
        "read_file = rpw_worker.read_file\nseen = set()\n",
    )
    patch(suite, "    if path not in", "    global seen\n    if path not in")
    (finding,) = run(suite, "RPW209").findings
    assert "different digests in each request" in finding.evidence


def patch(suite: Path, old: str, new: str) -> None:
    worker = suite.parent / "tools" / "decodes_digests.py"
    text = worker.read_text()
    assert old in text
    worker.write_text(text.replace(old, new))
