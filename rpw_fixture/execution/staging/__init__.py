"""Input roots on disk: places them, keeps requests apart, finds and repairs what actions changed."""
