"""The client, against our own server and against one that misbehaves on purpose."""
