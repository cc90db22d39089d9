"""Requests in pieces, and two in one write: a worker must accept both."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rpw_fixture.hermeticity.findings.report import Status
from rpw_fixture.hermeticity.trials.delivery import pieces
from rpw_fixture.hermeticity.trials.trial import Delivery
from tests.hermeticity.samples import PROTOCOL, run, stage


@given(st.binary(min_size=1, max_size=3000), st.sampled_from(Delivery))
def test_pieces_are_the_frame_again_and_none_is_empty(frame: bytes, delivery: Delivery) -> None:
    cut = pieces(frame, delivery)
    assert b"".join(cut) == frame
    assert all(cut)


def test_a_frame_is_cut_where_the_delivery_says() -> None:
    assert pieces(b"abcd", Delivery.SPLIT_BODY) == [b"ab", b"cd"]
    assert pieces(b"abcd", Delivery.SPLIT_LENGTH) == [b"a", b"bcd"]
    assert pieces(b"abcd", Delivery.DRIBBLED) == [b"a", b"b", b"c", b"d"]
    assert pieces(b"abcd", Delivery.WHOLE) == pieces(b"abcd", Delivery.ALONE) == [b"abcd"]


def test_the_end_of_a_json_line_comes_with_its_object() -> None:
    assert pieces(b"{}\n", Delivery.DRIBBLED) == [b"{", b"}\n"]


def test_a_long_frame_is_not_dribbled_to_its_end() -> None:
    assert 512 < len(pieces(bytes(100_000), Delivery.DRIBBLED)) < 1000


@pytest.mark.parametrize(
    ("script", "worker"),
    [
        ("good.py", ""),
        ("good.py", 'protocol = "json"'),
        ("multiplex.py", "multiplex = true"),
        ("multiplex.py", 'multiplex = true\nprotocol = "json"'),
    ],
)
def test_workers_that_wait_for_whole_requests_are_clean(
    tmp_path: Path, script: str, worker: str
) -> None:
    arguments = ["--worker_protocol=json"] if "json" in worker else []
    report = run(stage(tmp_path / "suite", script, *arguments, worker=worker), "RPW118")
    assert report.findings == ()
    assert {each.status for each in report.checks} == {Status.PASSED}


@pytest.mark.parametrize("code", ["RPW118", "RPW110"])
def test_a_request_and_its_cancel_in_one_write_are_two_objects(tmp_path: Path, code: str) -> None:
    worker = 'protocol = "json"\ncancellation = true'
    suite = stage(tmp_path / "suite", "good.py", "--worker_protocol=json", worker=worker)
    protocol = suite.parent / "tools" / "rpw_worker.py"
    read = "while not self._buffer.endswith(b'\\n'):"
    text = protocol.read_text().replace("while (text := self._cut()) is None:", read)
    whole = "        text, self._buffer = self._buffer, b''\n        return self.decode(text)"
    protocol.write_text(text.replace("        return self.decode(text)", whole))
    found = run(suite, f"RPW118,{code}").findings
    assert len(found) == 1, [each.summary for each in found]
    finding = found[0]
    assert finding.code == "RPW118"
    assert finding.summary == (
        "when a request and its cancel request arrive in one write, alpha fails: crash (RPW103)"
    )


def test_the_evidence_says_in_which_pieces_the_request_came(tmp_path: Path) -> None:
    (finding,) = run(stage(tmp_path / "suite", "one_read.py"), "RPW118").findings
    assert "when its request arrives in two pieces, " in finding.summary
    assert "the worker stops: a field of a request is longer" in finding.evidence
    assert "likely cause: it takes what one read() returns for a whole request" in finding.evidence


def test_a_part_that_is_answered_like_a_request_is_reported_as_a_cut_request(
    tmp_path: Path,
) -> None:
    suite = stage(tmp_path / "suite", "one_read.py", headers=["alpha"])
    worker = suite.parent / "tools" / "one_read.py"
    text = worker.read_text()
    hasty = "            return rpw_worker.WorkRequest(['--out', 'out/alpha.txt'])\n"
    worker.write_text(
        text.replace("            if not is_lenient:\n                raise\n", hasty)
    )
    (finding,) = run(suite, f"RPW118,{PROTOCOL}").findings
    assert finding.code == "RPW118"
    assert "when its request arrives in two pieces, " in finding.summary


def test_a_reader_that_waits_for_the_rest_only_for_a_moment_is_found(tmp_path: Path) -> None:
    suite = stage(tmp_path / "suite", "one_read.py", headers=["alpha"])
    worker = suite.parent / "tools" / "one_read.py"
    rest = """
        while select.select([stream], [], [], 0.02)[0] and (more := os.read(stream.fileno(), 1 << 16)):
            chunk += more"""
    start = "    while chunk := os.read(stream.fileno(), 1 << 16):"
    text = worker.read_text().replace("    while chunk := stream.read1(1 << 16):", start + rest)
    worker.write_text(text.replace("import sys\n", "import os\nimport select\nimport sys\n", 1))
    (finding,) = run(suite, "RPW118").findings
    assert "when its request arrives in two pieces, " in finding.summary


def test_large_requests_are_not_judged_where_pieces_are_misread(tmp_path: Path) -> None:
    report = run(stage(tmp_path / "suite", "one_read.py"), "RPW113,RPW118")
    assert [each.code for each in report.findings] == ["RPW118"]
    assert report.checks[0].reason.endswith("fix RPW118 first")


def test_requests_lost_in_one_write_are_not_reported_as_a_mixup(tmp_path: Path) -> None:
    suite = stage(tmp_path / "suite", "drops_rest.py", worker="multiplex = true\ntimeout = 1")
    report = run(suite, "RPW118,RPW111,RPW213")
    (finding,) = report.findings
    assert (finding.code, finding.victim, finding.polluters) == ("RPW118", "beta", ("alpha",))
    assert finding.summary == "when two requests arrive in one write, beta fails: timeout (RPW102)"
    reasons = {each.reason for each in report.checks if each.status is Status.SKIPPED}
    assert reasons == {"the worker loses requests that come in one write"}
