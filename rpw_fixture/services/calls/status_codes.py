"""gRPC's status codes by the numbers of `rpw_fixture.errors.Code`."""

from __future__ import annotations

import grpc

STATUS_CODES = {code.value[0]: code for code in grpc.StatusCode}
