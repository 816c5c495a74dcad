"""Clips as blocks of bytes: how the store keeps tracks and crops.

A track's points are kept in 16 bit steps (``stgt.faces.quantised``), everything else of it to the last bit.
"""

import json
import struct

import numpy as np

from stgt.faces.quantised import quantise, restore
from stgt.faces.tracks import LandmarkTrack

FORMAT = "stgt-prepared-track-1"


def pack_track(track: LandmarkTrack) -> bytes:
    """A track as one safetensors block, 3.2 kB per frame."""
    from safetensors.numpy import save

    codes, low, high = quantise(track.points)
    tensors = {
        "codes": codes,
        "low": low,
        "high": high,
        "times": track.times,
        "valid": track.valid,
        "blendshapes": track.blendshapes,
        "transforms": track.transforms,
    }
    width, height = track.image_size
    about = {"image_width": str(width), "image_height": str(height), "source": track.source}
    return save(tensors, {"format": FORMAT, **about})


def unpack_track(block: bytes) -> LandmarkTrack:
    """The inverse of ``pack_track``.

    Raises:
        ValueError: it is something else; the store's checksum lets nothing else through.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        tensors = load(block)
        (header_bytes,) = struct.unpack_from("<Q", block)
        metadata = json.loads(block[8 : 8 + header_bytes])["__metadata__"]
        if metadata["format"] != FORMAT:
            raise ValueError(f"a track of the format {metadata['format']}")
        points = restore(tensors.pop("codes"), tensors.pop("low"), tensors.pop("high"))
        size = (int(metadata["image_width"]), int(metadata["image_height"]))
        return LandmarkTrack(points=points, **tensors, image_size=size, source=metadata["source"])
    except (SafetensorError, struct.error, KeyError, TypeError) as error:
        raise ValueError(f"no prepared track ({error})") from None


def pack_crops(data: np.ndarray, offsets: np.ndarray) -> bytes:
    """The encoded crops of a clip as one safetensors block."""
    from safetensors.numpy import save

    return save({"offsets": np.ascontiguousarray(offsets), "data": np.ascontiguousarray(data)})


def unpack_crops(block: bytes) -> tuple[np.ndarray, np.ndarray]:
    """Data and offsets, the inverse of ``pack_crops``.

    Raises:
        ValueError: it is something else.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        tensors = load(block)
        return tensors["data"], tensors["offsets"]
    except (SafetensorError, KeyError) as error:
        raise ValueError(f"no prepared crops ({error})") from None
