"""Large requests, and request ids, to described workers."""

import pytest

from rpw_fixture.hermeticity.checks import large_messages
from rpw_fixture.hermeticity.checks.facts import MISREAD_PIECES
from rpw_fixture.hermeticity.findings.codes import Severity
from rpw_fixture.hermeticity.findings.finding import Finding
from rpw_fixture.hermeticity.trials.trial import Bulk, Outcome, Step
from tests.hermeticity.described.described_worker import ALPHA, BETA, Asked, action, good, judge

LARGEST = 2**31 - 1
BAZEL = "Bazel sends 0 to singleplex workers; other servers may not"


def finding_of(bulk: Bulk, small: Bulk, effect: str, evidence: str, *outputs: str) -> Finding:
    return Finding(
        code="RPW113",
        victim="alpha",
        outputs=outputs,
        summary=f"alpha with {bulk.value} {effect}",
        evidence=f"with {small.value} it is served; with {bulk.value}:\n{evidence}",
        history=(Step(action=ALPHA, bulk=bulk),),
    )


@pytest.mark.parametrize("bulk", [Bulk.MANY_OPTIONS, Bulk.KIB_64, Bulk.MIB_1, Bulk.MIB_4])
def test_a_large_request_that_kills_the_worker_is_found(bulk) -> None:
    def behaviour(asked: Asked) -> Outcome:
        failure = asked.failed("crash", "it died", stderr=f"a{'b' * 1500}\n")
        return failure if asked.step.bulk is bulk else asked.good()

    assert judge(large_messages.find, behaviour).findings == [
        finding_of(
            bulk,
            Bulk.SHORT_OPTION,
            "fails: crash (RPW103)",
            f"it died\nworker's stderr ends with:\n{'b' * 1500}",
            "out/alpha.txt",
        )
    ]


def test_another_exit_code_for_many_inputs_is_found() -> None:
    def behaviour(asked: Asked) -> Outcome:
        return asked.good(exit_code=2 if asked.step.bulk is Bulk.MANY_INPUTS else 0)

    assert judge(large_messages.find, behaviour).findings == [
        finding_of(
            Bulk.MANY_INPUTS,
            Bulk.FEW_INPUTS,
            "gives exit code 2 instead of 0",
            "exit code: 0 (small), 2 (large)",
        )
    ]


def test_another_result_for_many_options_is_found_though_both_fail() -> None:
    def behaviour(asked: Asked) -> Outcome:
        codes = {Bulk.SHORT_OPTION: 1, Bulk.MANY_OPTIONS: 2, Bulk.KIB_64: 2, Bulk.MIB_1: 2}
        text = "cut\n" if asked.step.bulk is Bulk.MANY_OPTIONS else ""
        return asked.good(text, exit_code=codes.get(asked.step.bulk, 0 if not text else 1))

    assert judge(large_messages.find, behaviour).findings[0] == finding_of(
        Bulk.MANY_OPTIONS,
        Bulk.SHORT_OPTION,
        "gives a different result",
        """\
exit code: 1 (small), 2 (large)
out/alpha.txt:
  --- small
  +++ large
  @@ -2 +2,2 @@
   src/alpha.txt: text of alpha
  +cut""",
        "out/alpha.txt",
    )


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 bytes"),
        (1023, "1023 bytes"),
        (1024, "1 KiB"),
        (5 << 10, "5 KiB"),
        ((1 << 20) - 1024, "1023 KiB"),
        (1 << 20, "1 MiB"),
        (7 << 19, "4 MiB"),
    ],
)
def test_the_largest_answer_is_noted(size, text) -> None:
    def repeats(asked: Asked) -> Outcome:
        return asked.good(response="x" * size if asked.step.bulk is Bulk.MIB_1 else "")

    judged = judge(large_messages.find, repeats)
    assert judged.findings == []
    assert judged.context.notes == {"RPW113": f"the largest answer had {text}"}


def test_options_may_be_refused_whatever_their_size() -> None:
    small = (Bulk.NONE, Bulk.FEW_INPUTS, Bulk.MANY_INPUTS)

    def refuses(asked: Asked) -> Outcome:
        sizes = list(Bulk).index(asked.step.bulk)
        return asked.good(exit_code=0 if asked.step.bulk in small else sizes, response=f"{sizes}")

    assert judge(large_messages.find, refuses).findings == []


@pytest.mark.parametrize("is_wrong_alone", [False, True])
def test_a_large_request_is_asked_again_of_a_fresh_worker(is_wrong_alone) -> None:
    def behaviour(asked: Asked) -> Outcome:
        is_wrong = asked.step.bulk is Bulk.KIB_64 and (asked.before or is_wrong_alone)
        return asked.good("other\n" if is_wrong else "")

    assert len(judge(large_messages.find, behaviour).findings) == is_wrong_alone


@pytest.mark.parametrize(("seconds", "is_found"), [(29.0, False), (30.0, False), (31.0, True)])
def test_a_slow_reader_gets_three_times_as_long(seconds, is_found) -> None:
    def is_slow(asked: Asked) -> Outcome:
        is_late = asked.step.bulk is Bulk.MIB_4 and seconds > (asked.trial.timeout or 10.0)
        return asked.failed("timeout") if is_late else asked.good()

    judged = judge(large_messages.find, is_slow)
    assert [each.code for each in judged.findings] == ["RPW113"] * is_found
    assert {each.timeout for each in judged.trials} == {None, 30.0}


def test_a_small_request_that_fails_proves_nothing_about_larger_ones() -> None:
    def behaviour(asked: Asked) -> Outcome:
        return asked.failed("crash") if asked.step.bulk is Bulk.SHORT_OPTION else asked.good()

    judged = judge(large_messages.find, behaviour)
    assert judged.findings == []
    assert judged.context.skipped == {
        "RPW113": "larger requests were not tried: with an unknown option the worker fails (crash), "
        "but not a fresh one"
    }


def test_a_worker_that_misreads_pieces_gets_no_large_request() -> None:
    judged = judge(large_messages.find, good, facts={MISREAD_PIECES: True})
    reason = "the worker misreads requests that arrive in pieces; fix RPW118 first"
    assert judged.findings == judged.trials == []
    assert judged.context.skipped == {"RPW113": reason}


# --- request ids ---


def wrong_ids(failure: str, *ids: int):
    def behaviour(asked: Asked) -> Outcome:
        failed = asked.failed(failure, "as seen", stderr="hm\n")
        return failed if asked.step.request_id in ids else asked.good()

    return behaviour


@pytest.mark.parametrize(
    ("behaviour", "worker", "code", "severity", "summary", "evidence"),
    [
        (
            wrong_ids("unexpected response", 7, LARGEST),
            {},
            "RPW104",
            Severity.WARNING,
            "7 is answered with another id",
            f"the only response has another request_id\n{BAZEL}\n",
        ),
        (
            wrong_ids("wrong request_id", LARGEST),
            {},
            "RPW104",
            Severity.WARNING,
            f"{LARGEST} is answered with another id",
            f"as seen\n{BAZEL}\n",
        ),
        (
            wrong_ids("wrong request_id", 7),
            {"multiplex": True},
            "RPW104",
            Severity.ERROR,
            "7 is answered with another id",
            "as seen\n",
        ),
        (
            wrong_ids("crash", 7, LARGEST),
            {},
            "RPW113",
            Severity.ERROR,
            "7 fails: crash",
            "as seen\n",
        ),
    ],
)
def test_an_id_that_is_not_returned_is_found_once(
    behaviour, worker, code, severity, summary, evidence
) -> None:
    judged = judge(large_messages.find_lost_ids, behaviour, worker=worker)
    (finding,) = judged.findings
    assert finding == Finding(
        code=code,
        severity=severity,
        victim="alpha",
        summary=f"a request with request_id {summary}",
        evidence=f"{evidence}worker's stderr ends with:\nhm",
        history=finding.history,
    )
    (step,) = finding.history
    assert step == Step(action=ALPHA, request_id=int(summary.split()[0]))


def test_other_ids_change_nothing_for_a_good_worker() -> None:
    judged = judge(large_messages.find_lost_ids, good, actions=[ALPHA, BETA])
    assert (judged.findings, judged.context.skipped) == ([], {})


def test_the_requests_are_for_an_action_that_succeeds() -> None:
    actions = [action("failing", exit_code=1), ALPHA]
    (finding,) = judge(
        large_messages.find_lost_ids, wrong_ids("crash", 7), actions=actions
    ).findings
    assert finding.victim == "alpha"
