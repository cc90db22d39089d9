"""A tool on aio-api-bazel: it writes a file in capitals."""

from __future__ import annotations

import argparse
import pathlib

import abstracts
from aio.api.bazel import ABazelProcessProtocol, IBazelProcessProtocol


def upper(source: pathlib.Path, target: pathlib.Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(source.read_text().upper())


@abstracts.implementer(IBazelProcessProtocol)
class Upper(ABazelProcessProtocol):
    async def process(self, request: argparse.Namespace) -> None:
        upper(pathlib.Path(getattr(request, "in")), pathlib.Path(request.out))
