"""Trials as ordinary actions of a REAPI cluster.

`question` says what lies in an action's input root and in its outputs. `program` answers there, on a
machine that may have nothing but Python; `runner` asks from here.
"""
