"""Decorators of executors: each adds one thing to the execution of an action.

From the outside to the inside: `EventLogging`, `ErrorTranslating`, `Caching`, `Recording`, `Routing`.

- The event log is outermost, because it has a record of every action: of those whose result comes from
  the cache, and of those that fail.
- Errors are translated inside of the log, so that the record has the status that the client gets, and
  outside of everything that can raise, the look-up in the cache included.
- The cache is outside of the recorder, because a recording has only actions that a worker really served.
- The recorder is outside of the routing, because only the routing knows whether a worker served.
"""
