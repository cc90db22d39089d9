"""Workers that the checks were not written for: 88 with one defect each, and 32 that only look bad.

`workers` has their sources, a file for each language, and the tool that most of them wrap. A section
begins with ``#### NAME | EXPECTED CODES | SETTINGS``: one of the codes must be found, and no error with
another one, unless ``also=`` names it. Run ``python -m tests.hermeticity.unseen`` for a table.
"""
