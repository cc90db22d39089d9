"""Tests of the workers in sample_workers/, driven over plain pipes, without the server."""
