"""How far a run is: one bar over the epochs of all models and folds, with an estimate."""


class Progress:
    """Says nothing; what a run reports to where nobody watches."""

    def epoch(self, model: str, fold: int, row: dict[str, float]) -> None:
        """An epoch is done; ``row`` is its row of the curves."""

    def found(self, epochs: int) -> None:
        """So many epochs were done by an earlier, interrupted run."""


class ProgressBar(Progress):
    """A bar on the terminal.

    Args:
        total: epochs of all models and folds.
    """

    def __init__(self, total: int) -> None:
        from tqdm import tqdm

        self.bar = tqdm(total=total, unit="epoch", desc="training", dynamic_ncols=True)

    def epoch(self, model: str, fold: int, row: dict[str, float]) -> None:
        """Move on by one, and show where and how well."""
        shown = {"loss": f"{row['train_loss']:.2f}"}
        if "validation_uar" in row:
            shown["validation UAR"] = f"{100 * row['validation_uar']:.0f}"
        self.bar.set_description(f"{model}, fold {fold}", refresh=False)
        self.bar.set_postfix(shown, refresh=False)
        self.bar.update()

    def found(self, epochs: int) -> None:
        """Move on without counting the epochs into the speed, which the estimate is made from."""
        self.bar.initial += epochs
        self.bar.n += epochs
        self.bar.refresh()

    def __enter__(self) -> "ProgressBar":
        """Start."""
        return self

    def __exit__(self, *exception: object) -> None:
        """Leave the bar as it stands."""
        self.bar.close()
