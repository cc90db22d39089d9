"""The results of `check`: findings, their codes, differences, reproducers and report formats."""
