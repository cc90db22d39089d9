"""Histories of findings, run again on described workers."""

import dataclasses

import pytest

from rpw_fixture.hermeticity.checks import replaying
from rpw_fixture.hermeticity.findings.history_file import History
from rpw_fixture.hermeticity.suites.suite import Suite, SuiteAction, SuiteWorker
from rpw_fixture.hermeticity.trials.trial import (
    Bulk,
    Cancel,
    Delivery,
    Ending,
    Interruption,
    Listing,
    Outcome,
    Predecessor,
    RunMode,
    Sample,
    Step,
    Trial,
    UnavailableError,
    Variation,
)
from tests.hermeticity.described.described_worker import ALPHA, BETA, Asked, DescribedHarness, good

A, B = Step(action=ALPHA), Step(action=BETA)
OTHER = """\
out/alpha.txt:
  --- fresh worker
  +++ this history
  @@ -2 +2,2 @@
   src/alpha.txt: text of alpha
  +other"""


def replay(behaviour, code: str, *steps: Step, end=None, **attributes: object):
    """Return what is found wrong, and the trials that were run for it."""
    options = {} if end is None else {"end": end}
    suite = Suite(worker=SuiteWorker(command=("tool",)), actions=(ALPHA, BETA))
    with DescribedHarness(suite, behaviour, **options) as harness:
        found = replaying.find_wrong(harness, History(code, steps, **attributes))
        return found, harness.book.asked


def wrong_of(*arguments, **options) -> str:
    return replay(*arguments, **options)[0]


def remembers(asked: Asked) -> Outcome:
    return asked.good("other\n" if B in asked.before else "")


def test_a_leak_is_shown_again_as_a_difference() -> None:
    assert wrong_of(remembers, "RPW202", B, A) == OTHER
    assert wrong_of(good, "RPW202", B, A) == ""
    assert wrong_of(remembers, "RPW202", A) == ""
    assert wrong_of(remembers, "RPW202") == ""


def test_only_the_last_answer_counts_in_one_worker() -> None:
    assert (
        wrong_of(lambda asked: asked.good("x\n" if asked.step == A else ""), "RPW202", A, B) == ""
    )
    first_only = lambda asked: asked.good("other\n" if len(asked.before) == 1 else "")  # noqa: E731
    assert wrong_of(first_only, "RPW202", B, A, A) == ""


@pytest.mark.parametrize(
    ("stderr", "shown"), [("", ""), (f"a{'b' * 1000}\n", f"\nworker's stderr: {'b' * 1000}")]
)
def test_a_failure_is_shown_with_its_place(stderr, shown) -> None:
    def tires(asked: Asked) -> Outcome:
        return asked.failed("crash", "it died", stderr=stderr) if asked.before else asked.good()

    assert wrong_of(tires, "RPW103", A, A) == f"request 2 of 2: crash: it died{shown}"
    assert wrong_of(tires, "RPW103", A, A, A) == f"request 2 of 3: crash: it died{shown}"


@pytest.mark.parametrize(
    ("mode", "expected"),
    [(RunMode.OVERLAPPING, "request 1 of 2: timeout: as described"), (RunMode.ONE_SHOT, "")],
)
def test_all_answers_count_where_requests_overlap(mode, expected) -> None:
    def behaviour(asked: Asked) -> Outcome:
        is_first = asked.trial.mode is RunMode.OVERLAPPING and asked.step == B
        return asked.failed("timeout") if is_first else asked.good()

    assert wrong_of(behaviour, "RPW213", B, A, mode=mode) == expected


def test_what_differs_among_fresh_workers_proves_nothing() -> None:
    def is_unsteady(asked: Asked) -> Outcome:
        return asked.good(f"{asked.trial.run}\n")

    assert wrong_of(is_unsteady, "RPW202", B, A) == ""
    lines = wrong_of(is_unsteady, "RPW201", A).splitlines()
    assert lines[:3] == ["out/alpha.txt:", "  --- fresh worker", "  +++ another fresh worker"]
    assert lines[-2:] == ["  -0", "  +1"]
    assert wrong_of(good, "RPW201", A) == ""


def test_nondeterminism_is_looked_for_in_three_fresh_workers() -> None:
    rare = lambda asked: asked.good("x\n" if asked.trial.run == 2 else "")  # noqa: E731
    assert wrong_of(rare, "RPW201", B, A) != ""
    rarer = lambda asked: asked.good("x\n" if asked.trial.run == 3 else "")  # noqa: E731
    assert wrong_of(rarer, "RPW201", B, A) == ""


# --- what depends on the moment ---

CANCELLED = Step(action=ALPHA, cancel=Cancel.AT_ONCE)
KILLED = Predecessor(history=(A,), interruption=Interruption.AT_WORK)


@pytest.mark.parametrize(
    ("code", "attributes", "attempts"),
    [
        ("RPW110", {"steps": (A, CANCELLED, A)}, 5),
        ("RPW111", {"mode": RunMode.OVERLAPPING}, 5),
        ("RPW213", {"mode": RunMode.OVERLAPPING}, 5),
        ("RPW202", {}, 1),
        ("RPW215", {"predecessors": (KILLED,)}, 5),
        ("RPW215", {"predecessors": (Predecessor(history=(CANCELLED,)),)}, 5),
        ("RPW215", {"predecessors": (Predecessor(history=(A,)),)}, 1),
    ],
)
def test_what_depends_on_the_moment_is_tried_five_times(code, attributes, attempts) -> None:
    options = {"steps": (B, A), **attributes}
    found, asked = replay(good, code, *options.pop("steps"), **options)
    assert found == ""
    runs = [each.run for each in asked if each.run >= 5]
    assert sorted(set(runs)) == list(range(5, 5 + attempts))


def test_the_fifth_time_counts_and_ends_it() -> None:
    for run in (5, 9):

        def crashes(asked: Asked, run: int = run) -> Outcome:
            return asked.failed("crash") if asked.trial.run == run else asked.good()

        found, asked = replay(crashes, "RPW213", B, A, mode=RunMode.OVERLAPPING)
        assert found == "request 1 of 2: crash: as described"
        assert max(each.run for each in asked) == run


def test_a_cancelled_request_is_judged_by_what_the_worker_does_late() -> None:
    def writes(asked: Asked) -> Outcome:
        is_cancelled = asked.step.cancel is not Cancel.NEVER
        return asked.good("x", exit_code=1, late="it wrote x" if is_cancelled else "")

    assert wrong_of(writes, "RPW110", A, CANCELLED) == "it wrote x"
    is_other = lambda asked: asked.good("x" * (asked.step == CANCELLED))  # noqa: E731
    assert wrong_of(is_other, "RPW110", A, CANCELLED) == ""


# --- what stands in the result itself ---


def always(**attributes):
    return lambda asked: asked.good(**attributes)


@pytest.mark.parametrize(
    ("code", "attributes", "text"),
    [
        ("RPW206", {"changed_inputs": ("a", "b")}, "changed inputs: a, b"),
        ("RPW208", {"strays": ("x",)}, "strays: x"),
        ("RPW216", {"rewritten": ("o",)}, "rewritten: o"),
        (
            "RPW216",
            {"rewritten": ("o",), "read_late": ("i",), "still_open": ("i", "o")},
            "rewritten: o; read late: i; still open: i, o",
        ),
        ("RPW114", {"ignored": (("exit_code", "1"),)}, "ignored: ('exit_code', '1')"),
    ],
)
def test_what_stands_in_the_result_is_named_once(code, attributes, text) -> None:
    assert wrong_of(always(**attributes), code, A, A) == text
    assert wrong_of(good, code, A, A) == ""


def ending(**attributes):
    return lambda _, result: dataclasses.replace(result, ending=Ending(**attributes))


@pytest.mark.parametrize(
    ("code", "attributes", "text"),
    [
        (
            "RPW106",
            {"is_by_itself": False},
            "the worker still runs 5 seconds after its stdin was closed",
        ),
        ("RPW106", {"leftovers": 1}, ""),
        ("RPW112", {"leftovers": 1}, "processes outlive the worker"),
        ("RPW112", {"is_by_itself": False}, ""),
        ("RPW115", {"unterminated": 1}, "a JSON response ends without a newline"),
        ("RPW115", {}, ""),
    ],
)
def test_the_end_of_the_worker_is_named(code, attributes, text) -> None:
    found, asked = replay(good, code, A, A, end=ending(**attributes))
    assert found == text
    assert [each.eof_patience for each in asked] == [0.25 if code == "RPW115" else 5.0]


def test_a_worker_that_crashed_does_not_still_run() -> None:
    crashes = lambda asked: asked.failed("crash")  # noqa: E731
    assert wrong_of(crashes, "RPW106", A, end=ending(is_by_itself=False)) == ""


def test_processes_that_stay_are_named() -> None:
    starts = lambda asked: asked.good(children=("x", "y", "z")[: len(asked.before) + 1])  # noqa: E731
    assert wrong_of(starts, "RPW112", A, A, A) == "processes that stay: y, z"


def test_what_stands_in_the_result_counts_in_usual_surroundings_only() -> None:
    varied = Variation(factor="TZ")
    assert wrong_of(always(strays=("x",)), "RPW208", A, variation=varied) == ""


def test_a_trial_for_late_accesses_lingers() -> None:
    assert {each.lingers for each in replay(good, "RPW216", A)[1]} == {True}
    assert {each.lingers for each in replay(good, "RPW208", A)[1]} == {False}


@pytest.mark.parametrize(("exit_code", "text"), [(0, ""), (2, "it ends with exit code 2")])
def test_a_one_shot_run_must_have_the_expected_exit_code(exit_code, text) -> None:
    found = wrong_of(always(exit_code=exit_code), "RPW108", A, mode=RunMode.ONE_SHOT)
    assert found == text


# --- requests that are not plain ---


@pytest.mark.parametrize(
    ("attributes", "is_comparable"),
    [
        ({"delivery": Delivery.DRIBBLED}, True),
        ({"in_place": True}, True),
        ({"is_extended": True}, True),
        ({"listing": Listing.NONE}, True),
        ({"pause": 1.0}, True),
        ({"planted": (("x", b"y"),)}, True),
        ({"request_id": 7}, True),
        ({"verbosity": 10}, True),
        ({"bulk": Bulk.KIB_64}, True),
        ({"held_at": "src/alpha.txt"}, False),
        ({"delay": 1.0}, False),
    ],
)
def test_requests_are_compared_with_plain_ones_if_a_good_worker_answers_both_alike(
    attributes, is_comparable
) -> None:
    step = Step(action=ALPHA, **attributes)
    is_other = lambda asked: asked.good("other\n" if asked.trial.run >= 5 else "")  # noqa: E731
    if attributes.get("bulk"):
        is_other = lambda asked: asked.good("other\n" if asked.step == step else "")  # noqa: E731
    assert wrong_of(is_other, "RPW107", step) == (OTHER if is_comparable else "")


@pytest.mark.parametrize("attributes", [{"verbosity": 10}, {"bulk": Bulk.MIB_1}])
def test_the_text_of_the_response_may_follow_some_requests(attributes) -> None:
    step = Step(action=ALPHA, **attributes)
    talks = lambda asked: asked.good(response="long" if asked.step == step else "short")  # noqa: E731
    assert wrong_of(talks, "RPW209", step) == ""
    plain = Step(action=ALPHA, request_id=7)
    talks = lambda asked: asked.good(response="long" if asked.step == plain else "short")  # noqa: E731
    assert wrong_of(talks, "RPW209", plain) != ""


@pytest.mark.parametrize(
    ("large", "small"),
    [
        (Bulk.MANY_INPUTS, Bulk.FEW_INPUTS),
        (Bulk.MANY_OPTIONS, Bulk.SHORT_OPTION),
        (Bulk.MIB_4, Bulk.SHORT_OPTION),
    ],
)
def test_a_large_request_is_compared_with_a_small_one_of_its_kind(large, small) -> None:
    step = Step(action=ALPHA, bulk=large)

    def refuses(asked: Asked) -> Outcome:
        codes = {large: 3, small: 2}
        return asked.good(exit_code=codes.get(asked.step.bulk, 0))

    found, asked = replay(refuses, "RPW113", step)
    assert found == ""  # both are refused
    assert small in {each.history[0].bulk for each in asked}
    only_large = lambda asked: asked.good(exit_code=3 if asked.step == step else 0)  # noqa: E731
    assert wrong_of(only_large, "RPW113", step) == "exit code: 0 (fresh worker), 3 (this history)"


def test_a_one_shot_run_may_print_other_text() -> None:
    def talks(asked: Asked) -> Outcome:
        is_one_shot = asked.trial.mode is RunMode.ONE_SHOT
        return asked.good(response="long" if is_one_shot else "short")

    assert wrong_of(talks, "RPW205", A, mode=RunMode.ONE_SHOT) == ""


def test_a_successor_is_compared_with_the_same_requests_in_a_fresh_place() -> None:
    def remembers_and_counts(asked: Asked) -> Outcome:
        text = "other\n" if asked.trial.predecessors else "usual\n"
        return asked.good("again\n" * bool(asked.before), response=text)

    before = (Predecessor(history=(A,)),)
    found = wrong_of(remembers_and_counts, "RPW214", A, A, predecessors=before)
    assert found.startswith("response text:\n")
    assert found.endswith("\n  -usual\n  +other")
    counts = lambda asked: asked.good("again\n" * bool(asked.before))  # noqa: E731
    assert wrong_of(counts, "RPW214", A, A, predecessors=before) == ""


def test_what_this_machine_cannot_run_shows_nothing() -> None:
    def refuses(asked: Asked) -> Outcome:
        raise UnavailableError

    assert wrong_of(refuses, "RPW202", B, A) == ""


# --- growth ---


def grows(each_request: float, most: float = 10_000) -> object:
    def behaviour(asked: Asked) -> Outcome:
        count = int(min(most, len(asked.before) * each_request))
        return asked.good(sample=Sample(memory=0, descriptors=count, threads=1, files=0))

    return behaviour


@pytest.mark.parametrize(
    ("behaviour", "count", "text"),
    [
        (grows(1.0), 100, "descriptors: from 20 to 99 over 80 requests"),
        (grows(0.5), 100, "descriptors: from 10 to 49 over 80 requests"),
        (grows(0.05), 100, ""),
        (grows(1.0, most=150), 100, ""),
        (grows(1.0), 30, ""),
        (good, 100, ""),
    ],
    ids=["grows", "grows slowly", "hardly grows", "is full at last", "too short", "not measured"],
)
def test_growth_must_go_on_in_a_run_four_times_as_long(behaviour, count, text) -> None:
    assert wrong_of(behaviour, "RPW302", *[A] * count) == text


def test_growth_of_something_else_is_none() -> None:
    assert wrong_of(grows(1.0), "RPW303", *[A] * 100) == ""


# --- lost text ---


def loses(
    text: str, *, of_first: str = "", of_later: str = "", one_shot: str = "warning: x is old\n"
):
    def behaviour(asked: Asked) -> Outcome:
        if asked.trial.mode is RunMode.ONE_SHOT:
            return asked.good(response=one_shot)
        return asked.good(response=text, stderr=of_later if asked.before else of_first)

    return behaviour


LOST = "a one-shot run prints what the worker's response lacks: warning: x is old"


@pytest.mark.parametrize(
    ("behaviour", "text"),
    [
        (loses("done\n"), LOST),
        (loses("warning: x is old\n"), ""),
        (loses("done\n", of_first="warning: x is old\n"), ""),
        (loses("done\n", of_first="warning: x is old\n", of_later="warning: x is old\n"), LOST),
    ],
    ids=["lost", "kept", "of the start-up", "logged each time"],
)
def test_lost_text_must_be_lost_each_time(behaviour, text) -> None:
    assert wrong_of(behaviour, "RPW218", A, A) == text


def test_text_that_a_one_shot_run_does_not_always_print_is_not_lost() -> None:
    def behaviour(asked: Asked) -> Outcome:
        is_first = asked.trial.mode is RunMode.ONE_SHOT and asked.trial.run < 2
        return asked.good(response="warning: x is old\n" if is_first else "done\n")

    assert wrong_of(behaviour, "RPW218", A) == ""


def test_a_failure_while_text_is_looked_for_is_shown() -> None:
    def tires(asked: Asked) -> Outcome:
        return asked.failed("crash", "it died") if asked.before else asked.good()

    assert wrong_of(tires, "RPW218", A, A) == "crash: it died"


def test_the_trial_has_all_that_the_history_says() -> None:
    history = History(
        "RPW401", (B, A), Variation(factor="TZ"), RunMode.OVERLAPPING, (KILLED,), BETA
    )
    assert replaying._trial(history, 7) == Trial(
        history=(B, A),
        variation=Variation(factor="TZ"),
        mode=RunMode.OVERLAPPING,
        started_with=BETA,
        run=7,
        eof_patience=5.0,
        predecessors=(KILLED,),
    )


def test_an_action_of_no_suite_is_compared_as_well() -> None:
    gamma = SuiteAction(name="gamma", arguments=(), outputs=("out/gamma.txt",))
    changed = lambda asked: asked.good("x" if asked.before else "")  # noqa: E731
    assert "out/gamma.txt" in wrong_of(changed, "RPW202", A, Step(action=gamma))
