"""A run in summary: a pure function of the event log.

`model` has what happened, `starts` why each worker was started, `explanation` the story of one action or
worker. `event_files` and `recordings` read what earlier runs wrote. `words` writes
all of it for a terminal.
"""
