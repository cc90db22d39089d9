const text = 'for administrators';
