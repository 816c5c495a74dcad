"""A trained model read out on clips: probabilities, and where it looked."""

from dataclasses import dataclass

import numpy as np
import torch
from torch.utils.data import DataLoader

from stgt.evaluation.pooling import pool_windows
from stgt.models.registry import ExpressionModel


@dataclass(frozen=True, eq=False)
class Readout:
    """What a model said about N clips, and where it looked.

    Attributes:
        probabilities: (N,K), NaN rows where no window holds a face.
        nodes: (N,V), mean attention of each clip to each node, or None if the model has none.
        frames: (N,T), mean attention of each clip's windows to each of their frames, or None.
    """

    probabilities: np.ndarray
    nodes: np.ndarray | None
    frames: np.ndarray | None


@torch.inference_mode()
def read_out(model: ExpressionModel, loader: DataLoader, clips: int, device: torch.device | str = "cpu") -> Readout:
    """Run ``model`` over the evaluation windows of ``clips`` clips.

    Args:
        model: in evaluation mode afterwards.
        loader: evaluation windows; each batch names the clip of each window.
        clips: N.
        device: where the model is.
    """
    model.eval()
    columns: list[list[np.ndarray]] = [[] for _ in range(5)]
    for batch in loader:
        batch = batch.to(device)
        logits, attention = model.forward_with_attention(
            batch.geometry, batch.mask, batch.patches, batch.frames, batch.frames_mask
        )
        share = batch.mask.float().mean(dim=1)
        nodes = (attention.nodes * batch.mask[..., None]).sum(1) / batch.mask.sum(1, keepdim=True).clamp(min=1)
        for column, values in zip(
            columns, (logits.float().softmax(-1), share, batch.clip, nodes, attention.frames), strict=True
        ):
            column.append(values.float().cpu().numpy())
    probabilities, share, clip, nodes, frames = (np.concatenate(column) for column in columns)
    clip = clip.astype(np.int64)
    return Readout(
        probabilities=pool_windows(probabilities, share, clip, clips),
        nodes=pool_windows(nodes, share, clip, clips),
        frames=pool_windows(frames, share, clip, clips),
    )
