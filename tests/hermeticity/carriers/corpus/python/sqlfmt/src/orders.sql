SELECT id, total FROM orders LIMIT 5;
