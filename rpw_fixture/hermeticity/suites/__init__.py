"""Suites: a worker and its actions, from a suite file, a recording or a test."""
