"""Helpers that know neither REAPI nor workers: files, mounts, threads, locks, globs."""
