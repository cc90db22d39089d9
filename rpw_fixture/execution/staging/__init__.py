"""Input roots on disk: put there, kept apart, compared with what was put there, mended."""
