"""Several methods side by side: the same clips, folds and scores for all."""
