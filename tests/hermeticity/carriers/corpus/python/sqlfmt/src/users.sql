select name from users where age > 30 order by name;
