// Prints the report of a month, and of the months before.
// @helper formatDate
print(formatDate(today));
