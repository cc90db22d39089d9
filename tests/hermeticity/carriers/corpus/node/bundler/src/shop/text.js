const text = 'the shop';
