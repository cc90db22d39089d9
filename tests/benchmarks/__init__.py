"""What things cost, each figure beside its floor: ``python -m tests.benchmarks``.

Each module of `FAMILIES` measures one family of figures against separate processes and yields
them one after the other. Nothing here asserts a time; test_smoke.py keeps the machinery alive.
"""

from __future__ import annotations

from typing import Final

FAMILIES: Final = (
    "warm_actions",
    "phases",
    "in_flight",
    "one_shot",
    "find_missing",
    "batches",
    "bytestream",
    "action_cache",
    "open_streams",
    "startup",
    "fixture_cost",
    "six_actions",
    "scale",
    "bazel",
)
"""Modules of this package with a function ``figures(effort)``, in the order in which they run."""
