"""Models of several datasets, each scored on all of them."""
