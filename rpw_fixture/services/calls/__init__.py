"""Which thread serves a call and when: lanes, calls that wait without a thread, strangers' calls."""
