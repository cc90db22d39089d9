"""Tests of the workers in sample_workers/, driven over plain pipes by a driver of their own."""
