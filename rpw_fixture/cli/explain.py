"""``explain``: say where an action ran and why, from the events or the recording of an earlier run."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rpw_fixture.cli.parsers import to_path
from rpw_fixture.cli.standard_streams import write_line
from rpw_fixture.errors import ConfigError
from rpw_fixture.events.kinds import Event, ServerStarted
from rpw_fixture.summary import explanation, words
from rpw_fixture.summary.event_files import read_events
from rpw_fixture.summary.explanation import Story
from rpw_fixture.summary.model import RunSummary, summarize
from rpw_fixture.summary.recordings import read_recording
from rpw_fixture.support.printable import printable
from rpw_fixture.support.suggestions import did_you_mean

#: Executions before the last one that are listed.
_MOST = 8


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``explain``."""
    parser.epilog = (
        "Without a subject: the summary that run prints, for each server in the file.\n"
        "  rpw-fixture explain events.jsonl //app:lib   why was it not reused?\n"
        "  rpw-fixture explain events.jsonl worker:2    what was it started for, and why did it end?"
    )
    parser.add_argument(
        "input", type=to_path, metavar="INPUT", help="a file of --events, or a folder of --record"
    )
    parser.add_argument(
        "subject",
        nargs="?",
        metavar="TARGET|DIGEST|worker:N",
        help="a target, the digest of an action or its beginning, or a worker",
    )
    parser.add_argument("--format", choices=("text", "json"), default="text", help="default: text")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Run:
    """A run of one server: its title and its summary."""

    title: str
    summary: RunSummary


def run(options: argparse.Namespace) -> int:
    """Explain."""
    if options.subject == "":
        raise ConfigError("the subject is empty; name a target, a digest or worker:N")
    runs = _runs(options.input)
    if options.subject is None:
        write_line(_summary_json(runs) if options.format == "json" else printable(_summaries(runs)))
        return 0
    found = [
        (each, story)
        for each in runs
        for story in explanation.stories(each.summary, options.subject)
    ]
    if not found:
        raise ConfigError(_unknown(options.input, options.subject, runs))
    write_line(_stories_json(found) if options.format == "json" else printable(_stories(found)))
    return 0


def _runs(path: Path) -> list[_Run]:
    if path.is_dir():
        return [_Run(title=f"recording {path}", summary=summarize(read_recording(path)))]
    contents = read_events(path)
    for problem in contents.problems:
        print(f"rpw-fixture explain: {problem}; skipped", file=sys.stderr)
    count = len(contents.runs)
    return [
        _Run(title=_title(each.server, each.events, number, count), summary=summarize(each.events))
        for number, each in enumerate(contents.runs, start=1)
    ]


def _title(server: ServerStarted | None, events: Sequence[Event], number: int, count: int) -> str:
    began = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(events[0].time))
    which = f"server {number} of {count}" if count > 1 else "server"
    if server is None:
        return f"{which}, {began}"
    return f"{which}, {began}, {server.endpoint}, process {server.pid}, version {server.version}"


def _summaries(runs: Sequence[_Run]) -> str:
    return "\n\n".join(f"{each.title}\n{words.summary(each.summary)}" for each in runs)


def _summary_json(runs: Sequence[_Run]) -> str:
    return json.dumps({"schema": 1, "runs": [each.summary.as_dict() for each in runs]}, indent=2)


def _stories(found: Sequence[tuple[_Run, Story]]) -> str:
    """Return the last story in full, and those before in a line each."""
    last, story = found[-1]
    lines = [last.title, *explanation.text(story)]
    if len(found) > 1:
        hidden = len(found) - 1 - _MOST
        lines += ["", "Before that:", *([f"  … {hidden} earlier"] if hidden > 0 else [])]
        for each, earlier in found[-1 - _MOST : -1]:
            where = "" if each is last else f" ({each.title.partition(',')[0]})"
            lines += words.wrapped(f"{explanation.brief(earlier)}{where}", "  ", "    ")
    return "\n".join(lines)


def _stories_json(found: Sequence[tuple[_Run, Story]]) -> str:
    stories = [{"run": each.title, **story.as_dict()} for each, story in found]
    return json.dumps({"schema": 1, "stories": stories}, indent=2)


def _unknown(path: Path, subject: str, runs: Sequence[_Run]) -> str:
    known = list(
        dict.fromkeys(name for each in runs for name in explanation.subjects(each.summary))
    )
    hint = did_you_mean(subject, known)
    if not hint and known:
        hint = f"; it has {', '.join(known[:6])}{', …' if len(known) > 6 else ''}"
    return f"{path}: nothing about {subject!r}{hint}"
