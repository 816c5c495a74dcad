"""Frame encoders: methods that read the expression of one face crop, a file for every paper.

Importing the package registers all of them: every module in it is one, or what they share.
"""

from importlib import import_module
from pkgutil import iter_modules

from stgt.models.frames.base import FrameModel, FrameOutput
from stgt.models.frames.registry import create_frame_model, list_frame_models, register_frame_model

for _module in iter_modules(__path__):
    import_module(f"{__name__}.{_module.name}")

__all__ = ["FrameModel", "FrameOutput", "create_frame_model", "list_frame_models", "register_frame_model"]
