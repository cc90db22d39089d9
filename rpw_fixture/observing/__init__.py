"""What happened, told from the log of events: records, evidence in words, and assertions."""
