"""What `check` reports: findings, their codes, differences, reproducers, and the formats of a report."""
