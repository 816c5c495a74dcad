"""What ``stgt matrix`` can be asked for."""

from dataclasses import dataclass
from pathlib import Path

from stgt.config import require_one_of
from stgt.data.vocabulary import ANSWERS, UNMATCHED


@dataclass(frozen=True)
class MatrixConfig:
    """A cross-dataset matrix."""

    dataset: str
    """Cards' names with commas between them: a,b,c."""
    roots: str | None = None
    """Where they lie: a=PATH,b=PATH; for others STGT_DATA or ./data, then the card's folder name."""
    checkpoints: str | None = None
    """Trained models in place of trainings: a=FILE; any other name makes a further row: stgt=pretrained."""
    protocols: str | None = None
    """Protocols in place of the cards' default ones: a=NAME."""
    output: str = "runs/matrix"
    """Folder of the tables, the figure and the trainings."""
    cache: str | None = None
    """Where prepared tracks and crops go; none: STGT_CACHE or the user cache."""
    workers: int | None = None
    """Processes for preparation; none: all cores."""
    subject_pattern: str | None = None
    """For datasets whose subjects only the user knows: regular expression over the path."""
    subject_csv: str | None = None
    """The same from a CSV file with the columns clip and subject."""
    unmatched: str = "leave_out"
    """Clips whose label a model cannot name: leave_out, as usual across datasets, or mistake."""
    answers: str = "shared"
    """What a model may answer: only the labels shared with the dataset, so that all are asked the same; or all."""
    device: str = "auto"
    """Where models are read: auto, cpu, cuda, mps."""

    def __post_init__(self) -> None:
        require_one_of("--unmatched", self.unmatched, UNMATCHED)
        require_one_of("--answers", self.answers, ANSWERS)

    @property
    def folder(self) -> Path:
        """Of everything that comes out."""
        return Path(self.output)
