"""The checks, one small file each: a plan of trials, and a judgement of their results."""
