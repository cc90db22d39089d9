"""Input roots on disk: placed, kept apart, compared with what was placed, repaired."""
