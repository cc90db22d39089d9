"""Translates between bytes and values: messages, digests, input trees, worker frames, flagfiles.

Its functions are pure: they open no file, socket or process, and read no clock.
"""
