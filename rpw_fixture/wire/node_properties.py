"""Names of the properties that files and folders may have (remote_execution.proto, NodeProperties).

They are apart from the trees that have them, because a server announces them in its first answer.
"""

from __future__ import annotations

#: Properties that a client can request for outputs: fields of NodeProperties, but no named ones.
NODE_PROPERTIES = ("mtime", "unix_mode")
