"""Starting, killing and finding processes."""
