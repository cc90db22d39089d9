"""What a server observed: the kinds of records, the log that keeps them, the file they go to."""
