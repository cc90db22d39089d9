"""The RPCs that a server serves besides health checks, listed without loading protobuf."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

#: ``Service.Name`` of each RPC, and whether its client and its server send streams.
SERVED: Final[Mapping[str, tuple[bool, bool]]] = {
    "Capabilities.GetCapabilities": (False, False),
    "ActionCache.GetActionResult": (False, False),
    "ActionCache.UpdateActionResult": (False, False),
    "ContentAddressableStorage.FindMissingBlobs": (False, False),
    "ContentAddressableStorage.BatchUpdateBlobs": (False, False),
    "ContentAddressableStorage.BatchReadBlobs": (False, False),
    "ContentAddressableStorage.GetTree": (False, True),
    "ContentAddressableStorage.SplitBlob": (False, False),
    "ContentAddressableStorage.SpliceBlob": (False, False),
    "ByteStream.Read": (False, True),
    "ByteStream.Write": (True, False),
    "ByteStream.QueryWriteStatus": (False, False),
    "Execution.Execute": (False, True),
    "Execution.WaitExecution": (False, True),
    "Operations.GetOperation": (False, False),
    "Operations.CancelOperation": (False, False),
}
