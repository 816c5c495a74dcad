"""STGT reads facial expressions from moving faces."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from stgt.inference import ExpressionReader

__version__ = "0.1.0"
__all__ = ["ExpressionReader", "__version__"]


def __getattr__(name: str) -> object:
    # Late, so that `stgt --help` need not wait for torch.
    if name == "ExpressionReader":
        from stgt.inference import ExpressionReader

        return ExpressionReader
    raise AttributeError(f"module 'stgt' has no attribute {name!r}")
