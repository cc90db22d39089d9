"""Armed faults and counters, as tests of other projects use them."""
