"""Landmark tracks to tensors: node layouts, alignment, windows and the geometry stream."""
