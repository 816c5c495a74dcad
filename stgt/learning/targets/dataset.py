"""Training windows with other targets than the labels of their clips."""

from dataclasses import replace

from torch.utils.data import Dataset

from stgt.data.clips import WindowDataset, WindowSample
from stgt.learning.targets.kinds import ClipTargets


class TargetedWindows(Dataset[WindowSample]):
    """The windows of a training set, held against ``targets``.

    Args:
        windows: for training.
        targets: of the clips, in the order of ``windows.clips``.
    """

    def __init__(self, windows: WindowDataset, targets: ClipTargets) -> None:
        self.windows = windows
        self.targets = targets

    def __len__(self) -> int:
        return len(self.windows)

    def __getitem__(self, key: int | tuple[int, ...]) -> WindowSample:
        """An item, by the keys of ``WindowDataset``."""
        epoch, _, *visit = key if isinstance(key, tuple) else (0, key)
        sample = self.windows[key]
        return replace(sample, target=self.targets.of(sample.clip, epoch, visit[0] if visit else 0))
