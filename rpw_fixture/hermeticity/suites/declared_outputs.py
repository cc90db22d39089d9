"""Declared outputs that an action can't have because an input is at their place."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from rpw_fixture.support.paths import join_normalised


def conflict(
    outputs: Sequence[str], inputs: Mapping[str, Iterable[str]], working_directory: str
) -> str | None:
    """Return in words which output is an input, or a folder that contains one; None if none is.

    Args:
        outputs: relative to the working directory.
        inputs: what is in the input root before the action runs: paths by what they are.
        working_directory: relative to the input root.
    """
    places = {each: join_normalised(working_directory, each) for each in outputs}
    for kind, paths in inputs.items():
        for path in paths:
            for output, place in places.items():
                if path == place:
                    return f"output {output!r} is {kind}"
                if path.startswith(f"{place}/"):
                    return f"output {output!r} is a folder that contains {kind}: {path}"
    return None
