const rights = ['read', 'write'];
