"""How far a run is: one bar over the epochs of all models and folds, with an estimate."""


class Progress:
    """Says nothing; what a run reports to where nobody watches."""

    def epoch(self, model: str, fold: int, row: dict[str, float]) -> None:
        """An epoch is done; ``row`` is its row of the curves."""

    def found(self, epochs: int) -> None:
        """So many epochs were done by an earlier, interrupted run."""

    def finished(self, model: str, fold: int) -> None:
        """A fold is done."""


class ProgressBar(Progress):
    """A bar on the terminal.

    Args:
        total: epochs of all models and folds.
    """

    def __init__(self, total: int) -> None:
        from tqdm import tqdm

        self.bar = tqdm(total=total, unit="epoch", desc="training", dynamic_ncols=True)
        #: The folds that are being fitted -> their epochs so far.
        self.running: dict[tuple[str, int], int] = {}

    def epoch(self, model: str, fold: int, row: dict[str, float]) -> None:
        """Move on by one, and show where and how well."""
        self.running[model, fold] = int(row["epoch"]) + 1
        shown = {"loss": f"{row['train_loss']:.2f}"}
        if "validation_uar" in row:
            shown["validation UAR"] = f"{100 * row['validation_uar']:.0f}"
        self.bar.set_description(describe_running(self.running), refresh=False)
        self.bar.set_postfix(shown, refresh=False)
        self.bar.update()

    def found(self, epochs: int) -> None:
        """Move on without counting the epochs into the speed, which the estimate is made from."""
        self.bar.initial += epochs
        self.bar.n += epochs
        self.bar.refresh()

    def finished(self, model: str, fold: int) -> None:
        """Show it no longer."""
        self.running.pop((model, fold), None)

    def __enter__(self) -> "ProgressBar":
        """Start."""
        return self

    def __exit__(self, *exception: object) -> None:
        """Leave the bar as it stands."""
        self.bar.close()


def describe_running(running: dict[tuple[str, int], int]) -> str:
    """The folds that are being fitted, with their epochs where there are several side by side.

    >>> describe_running({("stgt", 0): 7})
    'stgt, fold 0'
    >>> describe_running({("stgt", 2): 7, ("stgt", 0): 12, ("stgcn", 0): 1})
    'stgcn, fold 0: 1; stgt, fold 0: 12, fold 2: 7'
    """
    if len(running) == 1:
        ((model, fold),) = running
        return f"{model}, fold {fold}"
    folds: dict[str, list[str]] = {}
    for (model, fold), epochs in sorted(running.items()):
        folds.setdefault(model, []).append(f"fold {fold}: {epochs}")
    return "; ".join(f"{model}, {', '.join(parts)}" for model, parts in folds.items())
