"""Pictures of what workers did: a page, a trace and texts, made from logs, recordings and checks.

`inputs` reads, `run_rows` makes one plain model of a run from its events, and `page`, `trace`, `markdown`
and `text` show the model. `live` serves the same page while a server runs.
"""
