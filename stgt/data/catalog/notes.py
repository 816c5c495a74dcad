"""What was left out of a dataset and why, in one sentence for each reason."""

from stgt.data.disk import counted


class Notes:
    """Collects what was left out, and says it in one sentence per reason with a few names."""

    SHOWN = 3

    def __init__(self) -> None:
        self.reasons: dict[tuple[str, str, str], list[str]] = {}
        self.missing: list[str] = []
        """Clips that the dataset names and that are not on disk."""
        self.unlabelled = 0

    def add(self, reason: str, name: str, kind: str = "clip", fate: str = "left out") -> None:
        """``name`` met this ``fate`` for this ``reason``."""
        self.reasons.setdefault((reason, kind, fate), []).append(name)

    def add_missing(self, reason: str, name: str) -> None:
        """``name`` belongs to the dataset, but is not on disk."""
        self.missing.append(name)
        self.add(reason, name)

    def sentences(self) -> tuple[str, ...]:
        """One sentence per reason."""
        lines = (
            [f"without a label, as the dataset has it: {counted(self.unlabelled, 'clip')}"] if self.unlabelled else []
        )
        for (reason, kind, fate), names in self.reasons.items():
            lines.append(f"{reason}: {counted(len(names), kind)} {fate} ({shown(names, self.SHOWN)})")
        return tuple(lines)


def shown(names: list[str] | tuple[str, ...], count: int) -> str:
    """The first ``count`` of ``names``, with dots where there are more; what cannot be printed is escaped."""
    text = ", ".join(names[:count]) + (" …" if len(names) > count else "")
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
