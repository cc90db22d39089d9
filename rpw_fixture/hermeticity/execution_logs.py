"""Checks execution logs: compares keys and results by digests, and runs actions with known contents."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from rpw_fixture.hermeticity import check
from rpw_fixture.hermeticity.checks import log_comparison
from rpw_fixture.hermeticity.findings import baseline
from rpw_fixture.hermeticity.findings.report import Report, merged, states
from rpw_fixture.hermeticity.suites.execution_logs.contents import Contents
from rpw_fixture.hermeticity.suites.execution_logs.conversion import Conversion
from rpw_fixture.hermeticity.suites.execution_logs.overview import overview
from rpw_fixture.hermeticity.suites.execution_logs.selection import Selection
from rpw_fixture.hermeticity.suites.execution_logs.spawns import LoggedSpawn

_KEY_CODES = frozenset(("RPW402", "RPW403"))
_COMPARED = "RPW201"
_SHOWN = 5
Logs = Sequence[Sequence[LoggedSpawn]]


def check_logs(
    logs: Logs,
    selection: Selection,
    contents: Contents,
    options: check.Options,
    say: Callable[[str], object],
) -> Report:
    """Check the actions of workers in a log, and compare it with a second one.

    Args:
        logs: one or two; the last one is checked.
        selection: says which actions are workers'.
        contents: finds the contents of inputs.
        options: as of `check.check`.
        say: called with lines for the user that are not findings: an overview, and what is left out.

    Raises:
        ConfigError, EnvironmentLacksError: as `check.check`.
    """
    spawns = logs[-1]
    for line in overview(spawns, selection):
        say(line)
    chosen = selection.chosen(spawns)
    conversion = Conversion(selection, contents)
    reports = []
    keys = options.selected & _KEY_CODES
    if chosen:
        outlines = conversion.outlines(chosen)
        reports.append(check.check_recording(outlines, replace(options, selected=keys)))
    if len(logs) > 1 and _COMPARED in options.selected:
        reports.append(_comparison(logs, options, say))
    reports.append(_runs(conversion, chosen, options, say))
    return merged([each for each in reports if each.checks])


def _comparison(logs: Logs, options: check.Options, say: Callable[[str], object]) -> Report:
    count = log_comparison.compared(*logs)
    say(f"the logs have {count} actions with the same command and inputs in common")
    accepted = baseline.read(options.baseline) if options.baseline is not None else frozenset()
    findings = tuple(log_comparison.find_differences(*logs))
    shown = tuple(each for each in findings if baseline.identity(each) not in accepted)
    skipped = {} if count else {_COMPARED: "no action has the same command and inputs in both logs"}
    return Report(
        actions=0,
        checks=states(frozenset((_COMPARED,)), shown, skipped, {}),
        findings=shown,
        accepted=tuple(each for each in findings if each not in shown),
    )


def _runs(
    conversion: Conversion,
    chosen: Sequence[LoggedSpawn],
    options: check.Options,
    say: Callable[[str], object],
) -> Report:
    """Run what can be run of the actions; skip all other codes if that is nothing."""
    selected = options.selected - _KEY_CODES
    actions, skipped = conversion.actions(chosen) if selected else ([], {})
    names = list(skipped)
    for name in names[:_SHOWN]:
        say(f"skipped: {name}: {skipped[name]}")
    if len(names) > _SHOWN:
        say(f"skipped: {len(names) - _SHOWN} more actions whose inputs can't be resolved")
    if actions:
        return check.check_recording(actions, replace(options, selected=selected))
    reason = "the log has no action of a worker"
    if chosen:
        reason = "no action has all its inputs; name --cas, --exec-root or --workspace"
    if not chosen:
        selected = options.selected
    return Report(
        actions=0, checks=states(selected, (), dict.fromkeys(selected, reason), {}), findings=()
    )
