"""Events of a server: the kinds of records, the log that keeps them, and the file they go to."""
