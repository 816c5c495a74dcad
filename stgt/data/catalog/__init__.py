"""Dataset cards, and the clips that they find on a disk."""
