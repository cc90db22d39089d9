"""Of workers that others wrote, the carrier is named. All: ``python -m tests.hermeticity.carriers``."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.hermeticity.carriers.corpus.staging import workers
from tests.hermeticity.carriers.locations import locate
from tests.hermeticity.carriers.sampled import Sample, samples
from tests.sample_workers.requirements import require_program

#: Cheap ones of many kinds, two in each language with those of `test_examples`.
CHOSEN = {
    "python-constgen": "module global _OPTIONS.prefix",
    "python-recpack": "local variable main.tool.packer._record",
    "node-tablejson": "global BigInt.prototype.toJSON",
    "java-schemac": "instance field TypeResolver.imported",
}
PROGRAMS = {"python": "python3", "node": "node", "java": "javac"}


def sample_of(name: str, scratch: Path) -> Sample:
    title = name.replace("-", " corpus ")
    return next(each for each in samples(scratch) if str(each) == title)


@pytest.mark.parametrize("name", CHOSEN)
def test_the_carrier_of_an_unknown_worker_is_confirmed(name: str, tmp_path: Path) -> None:
    sample = sample_of(name, tmp_path)
    require_program(PROGRAMS[sample.language])
    (worker,) = (each for each in workers() if str(each) == name)
    finding = locate(sample.stage(tmp_path / "suite"), (worker.polluter, worker.victim))
    assert [each.is_confirmed for each in finding.carriers] == [True], finding.evidence
    carrier = finding.carriers[0]
    assert f"{carrier.kind} {carrier.name}" == CHOSEN[name]
    assert carrier.name.endswith(sample.word)


def test_the_corpus_is_complete(tmp_path: Path) -> None:
    found = samples(tmp_path)
    assert len({str(each) for each in found}) == len(found)
    leaky = [each for each in found if each.carrier]
    assert {each.language for each in leaky} == set(PROGRAMS)
    assert len(leaky) >= 40
