"""What the pictures of the pages are made from."""
