"""Weights for a frame encoder: of its trunk from timm's hub, or from a safetensors file."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import getproxies

from torch import Tensor, nn

from stgt.errors import StgtError
from stgt.models.frames.base import TIMM_WEIGHTS, FrameModel

#: How the encoder's weights begin in a checkpoint of a model of clips, and how its trunk's begin in an encoder's.
CLIP_PREFIX, TRUNK_PREFIX = "encoder.", "trunk."


def load_weights(model: FrameModel, weights: str | Path, with_classifier: bool = True) -> str:
    """Fill a fresh encoder with weights.

    Args:
        model: to fill.
        weights: ``"timm"``, or a safetensors file of the whole encoder, of its trunk, or a checkpoint of a model of
            clips with the same encoder or with nothing but its trunk (``frames:resnet18`` for DAN, RAN or VTFF).
        with_classifier: whether the classifier in a file of the whole encoder is wanted, too; a checkpoint's is not.

    Returns:
        Where they come from, in words.

    Raises:
        StgtError: they cannot be had, or belong to something else.
    """
    if str(weights) == TIMM_WEIGHTS:
        return _from_hub(model)
    state = _read(Path(weights))
    expected = model.state_dict()
    if any(key.startswith(CLIP_PREFIX) for key in state):
        state = {key.removeprefix(CLIP_PREFIX): state[key] for key in state if key.startswith(CLIP_PREFIX)}
        with_classifier = False
    if not with_classifier:
        expected = {key: value for key, value in expected.items() if not key.startswith("head.")}
    if _is_trunk(state) and not _is_trunk(expected):
        state = {key.removeprefix(TRUNK_PREFIX): value for key, value in state.items()}
        _fit_trunks(model, state, weights)
        return f"the trunk of the encoder in the file {weights}, all else from scratch"
    # timm's names of a trunk are none of the encoder's, but for the classifier's.
    if model.trunk_name is None or any(key in expected and not key.startswith("head.") for key in state):
        _fit(model, state, expected, f"the frame encoder {model.name}", weights)
        return f"the file {weights}"
    _fit_trunks(model, state, weights)
    return f"the trunk in the file {weights}, all else from scratch"


def _is_trunk(state: dict[str, Tensor]) -> bool:
    """Whether an encoder of these weights is a trunk and a classifier, and nothing else."""
    return all(key.startswith((TRUNK_PREFIX, "head.")) for key in state)


def hub_state(timm_name: str) -> tuple[str, dict[str, Tensor]]:
    """The weights that timm's hub has for one of its models: which they are, and the tensors by timm's names.

    Raises:
        StgtError: timm has none, or they could not be downloaded.
    """
    import timm

    tag = timm.get_pretrained_cfg(timm_name).tag
    if not timm.is_model_pretrained(timm_name):
        raise StgtError(f"timm has no weights for {timm_name}: train from scratch (weights none), or give a file")
    try:
        with _cache_only_without_internet():
            state = timm.create_model(timm_name, pretrained=True).state_dict()
    except Exception as error:  # the hub's client raises a kind of its own for everything that can go wrong
        raise StgtError(
            f"the weights of {timm_name} could not be downloaded from timm's hub; check the internet connection, give "
            "a safetensors file as weights, or train from scratch"
        ) from error
    full = f"{timm_name.split('.')[0]}.{tag}" if tag else timm_name
    return full, state


@contextmanager
def _cache_only_without_internet() -> Iterator[None]:
    """Where the hub is out of reach, only what its client has in its cache counts: it would try again for a minute."""
    from huggingface_hub import constants

    before = constants.HF_HUB_OFFLINE
    constants.HF_HUB_OFFLINE = before or not _reachable(constants.ENDPOINT)
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = before


def _reachable(address: str, patience_s: float = 5.0) -> bool:
    """Whether somebody answers there; through a proxy only the client itself can tell, and it is left to."""
    if getproxies():
        return True
    parts = urlsplit(address)
    try:
        socket.create_connection((parts.hostname, parts.port or 443), timeout=patience_s).close()
    except OSError:
        return False
    return True


def _from_hub(model: FrameModel) -> str:
    if model.trunk_name is None:
        raise StgtError(
            f"timm's hub has no weights for the frame encoder {model.name}, which has layers of its own: give a "
            "safetensors file as weights, or train from scratch"
        )
    found, state = hub_state(model.trunk_name)
    _fit_trunks(model, state, f"timm's {found}")
    return f"the trunk from timm's {found}, all else from scratch"


def _read(path: Path) -> dict[str, Tensor]:
    from safetensors.torch import load_file

    if not path.is_file():
        raise StgtError(f"the weights {path} are not a file; give a safetensors file, or {TIMM_WEIGHTS!r}")
    try:
        return load_file(path)
    except Exception as error:  # truncated, another format, unreadable: each has a kind of its own
        raise StgtError(f"the weights {path} are not a readable safetensors file: {error}") from error


def _fit_trunks(model: FrameModel, state: dict[str, Tensor], where: str | Path) -> None:
    """A classifier among the weights belongs to other classes, and is left out."""
    for trunk in model.trunks():
        _fit(trunk, state, trunk.state_dict(), f"{model.trunk_name}, the trunk of {model.name}", where)


def _fit(
    module: nn.Module, state: dict[str, Tensor], expected: dict[str, Tensor], what: str, where: str | Path
) -> None:
    missing = [key for key in expected if key not in state]
    if missing:
        raise StgtError(f"the weights {where} do not belong to {what}: {missing[0]} is missing in them")
    for key, value in expected.items():
        if state[key].shape != value.shape:
            advice = (
                "; make the encoder with as many classes as the file has, then call reset_classifier"
                if key.startswith("head.")
                else "; they were made for another architecture or image_size"
            )
            raise StgtError(
                f"the weights {where} do not fit {what}: {key} has the shape {tuple(state[key].shape)} instead of "
                f"{tuple(value.shape)}{advice}"
            )
    module.load_state_dict({key: state[key] for key in expected}, strict=False)
