// @helper hash
send(hash(password));
