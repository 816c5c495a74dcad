"""A LiveFrame painted: marks, timelines, hints; the window and its keys."""
