"""Weights that come with the package: ``faces.safetensors`` and ``faces.json``, a checkpoint like any other.

They are what the word ``pretrained`` stands for wherever a checkpoint is asked for; ``stgt.models.checkpoint`` finds
and checks them.
"""
