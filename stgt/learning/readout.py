"""A trained model read out on clips: probabilities, and where it looked."""

from dataclasses import dataclass

import numpy as np
import torch
from torch.utils.data import DataLoader

from stgt.evaluation.pooling import pool_clips, pool_windows
from stgt.graphs.batch import WindowBatch
from stgt.models.registry import ExpressionModel


@dataclass(frozen=True, eq=False)
class Readout:
    """What a model said about N clips, and where it looked.

    Attributes:
        probabilities: (N,K), NaN rows where no window holds a face.
        nodes: (N,V), mean attention of each clip to each node.
        frames: (N,T), mean attention of each clip's windows to each of their frames.
    """

    probabilities: np.ndarray
    nodes: np.ndarray
    frames: np.ndarray


@dataclass(frozen=True, eq=False)
class WindowReadout:
    """What a model said about the M windows of N clips, before anything is pooled.

    Attributes:
        logits: (M,K) float64.
        share: (M,) share of the frames that hold a face.
        nodes: (M,V), mean attention of the valid frames to each node.
        frames: (M,T), attention to each frame.
        clip: (M,) int64, the clip that each window is from.
        clips: N.
        peak: as for ``pool_clips``.
    """

    logits: np.ndarray
    share: np.ndarray
    nodes: np.ndarray
    frames: np.ndarray
    clip: np.ndarray
    clips: int
    peak: int | None = None

    def clip_probabilities(self, temperature: float) -> np.ndarray:
        """(N,K) of the clips: every window's logits divided by the temperature, then pooled."""
        logits = torch.from_numpy(self.logits) / temperature
        return pool_clips(logits.softmax(dim=-1).numpy(), self.share, self.clip, self.clips, self.peak)

    def pooled(self, temperature: float) -> Readout:
        """The windows of each clip together."""
        return Readout(
            probabilities=self.clip_probabilities(temperature),
            nodes=pool_windows(self.nodes, self.share, self.clip, self.clips),
            frames=pool_windows(self.frames, self.share, self.clip, self.clips),
        )


def seen_share(batch: WindowBatch) -> torch.Tensor:
    """(B,) share of each window's frames that hold a face; of a window without landmarks that of its pictures."""
    share = batch.mask.float().mean(dim=1)
    if batch.frames_mask is None:
        return share
    return torch.where(share > 0, share, batch.frames_mask.float().mean(dim=1))


@torch.inference_mode()
def read_out(
    model: ExpressionModel,
    loader: DataLoader,
    clips: int,
    device: torch.device | str = "cpu",
    peak: int | None = None,
) -> WindowReadout:
    """Run ``model`` over the evaluation windows of ``clips`` clips.

    Args:
        model: in evaluation mode afterwards.
        loader: evaluation windows; each batch names the clip of each window.
        clips: N.
        device: where the model is.
        peak: as for ``pool_clips``.
    """
    model.eval()
    columns: list[list[np.ndarray]] = [[] for _ in range(5)]
    for batch in loader:
        batch = batch.to(device)
        logits, attention = model.forward_with_attention(**batch.inputs)
        share = seen_share(batch)
        nodes = (attention.nodes * batch.mask[..., None]).sum(1) / batch.mask.sum(1, keepdim=True).clamp(min=1)
        for column, values in zip(columns, (logits, share, nodes, attention.frames, batch.clip), strict=True):
            column.append(values.double().cpu().numpy())
    logits, share, nodes, frames, clip = (np.concatenate(column) for column in columns)
    return WindowReadout(logits, share, nodes, frames, clip.astype(np.int64), clips, peak)
