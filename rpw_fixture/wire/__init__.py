"""Pure translations between bytes and values: messages, digests, trees, frames, flagfiles.

Nothing in this package opens a file, a socket or a process, or looks at a clock.
"""
