"""Records and assertions, over logs written for the purpose."""
