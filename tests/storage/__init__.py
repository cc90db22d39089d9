"""Blob stores and the action cache, on their own."""
