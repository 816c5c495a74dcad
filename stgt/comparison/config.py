"""What ``stgt compare`` can be asked for."""

from dataclasses import dataclass
from pathlib import Path

from stgt.config import names
from stgt.errors import StgtError


@dataclass(frozen=True)
class CompareConfig:
    """A comparison of methods."""

    models: str
    """Methods with commas between them: names of models, of recipes that come with stgt, or paths of recipes (YAML)."""
    datasets: str = "synthetic"
    """Cards' names with commas between them: a,b; or under a name of one's own, as far=synthetic, mine=folder."""
    roots: str | None = None
    """Where they lie: a=PATH,far=PATH; for others STGT_DATA or ./data, then the card's folder name."""
    protocols: str | None = None
    """Protocols in place of the cards' default ones: a=NAME."""
    folds: int | None = None
    """Run only so many folds of each protocol, from the first; none: all, or one in the quick setting."""
    quick: bool = False
    """Fewer epochs and folds, smaller pictures: what that changes is said with every table."""
    estimate: bool = False
    """Only say how long it would take."""
    jobs: int = 1
    """Folds, of whichever method, that are fitted side by side, each in a process of its own."""
    output: str = "runs/compare"
    """Folder of the tables, the figure and the trainings."""
    cache: str | None = None
    """Where prepared tracks and crops go; none: STGT_CACHE or the user cache."""
    workers: int | None = None
    """Processes for preparation; none: all cores."""
    subject_pattern: str | None = None
    """For datasets whose subjects only the user knows: regular expression over the path."""
    subject_csv: str | None = None
    """The same from a CSV file with the columns clip and subject."""

    def __post_init__(self) -> None:
        if len(names(self.models)) < 2:
            raise StgtError("a comparison needs two methods at least: --models stgt,stgcn")
        if self.jobs < 1:
            raise StgtError(f"--jobs is {self.jobs}; at least one fold is fitted at a time")
        if self.folds is not None and self.folds < 1:
            raise StgtError(f"--folds is {self.folds}; at least one fold is run")

    @property
    def folder(self) -> Path:
        """Of everything that comes out."""
        return Path(self.output)
