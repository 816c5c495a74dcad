"""The models: STGT, its baselines, one registry and the checkpoint format."""
