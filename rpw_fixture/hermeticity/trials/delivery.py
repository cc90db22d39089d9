"""Cutting a request's bytes into pieces, which a worker must accept. Pure: `worker_session` writes them."""

from __future__ import annotations

import itertools

from rpw_fixture.hermeticity.trials.trial import Delivery

#: This many bytes are sent one by one (the length and the first fields), the rest in few pieces.
_SINGLE_BYTES = 512
_MOST_REST = 64
_JSON_END = b"}\n"


def pieces(frame: bytes, delivery: Delivery) -> list[bytes]:
    """Return the frame in pieces, none of them empty.

    A JSON object and the line end after it stay together: a worker may answer as soon as the object is
    complete, and the line end alone would look like an unfinished request.

    Args:
        frame: the bytes of a request, with its length or line end.
        delivery: where to cut.
    """
    end = len(frame) - (len(_JSON_END) - 1 if frame.endswith(_JSON_END) else 0)
    if delivery is Delivery.DRIBBLED:
        single = min(_SINGLE_BYTES, end)
        step = max(1, -(-(end - single) // _MOST_REST))
        cuts = [*range(1, single), *range(single, end, step)]
    elif delivery is Delivery.SPLIT_LENGTH:
        cuts = [1]
    elif delivery is Delivery.SPLIT_BODY:
        cuts = [max(1, end // 2)]
    else:
        cuts = []
    bounds = [0, *(each for each in cuts if 0 < each < end), len(frame)]
    return [frame[start:stop] for start, stop in itertools.pairwise(bounds)]
