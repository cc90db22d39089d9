"""The checks, one small file each: they plan trials and judge the results."""
