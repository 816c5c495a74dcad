"""The exceptions that a user meets: one clear sentence, never a traceback."""


class StgtError(Exception):
    """Bad input: says in one sentence what is wrong, where, and what to do. Commands print it and exit with code 2."""


class SourceError(StgtError):
    """A video, image folder or camera that cannot be read (missing, empty, corrupt)."""


class DatasetError(StgtError):
    """A dataset that is absent, half copied, or contradicts its card."""


class CheckpointError(StgtError):
    """A checkpoint or track file that is missing, of another format version, or does not fit the request."""


class MissingExtraError(StgtError):
    """A command needs packages of an extra that is not installed; the message names the extra."""

    def __init__(self, what: str, extra: str) -> None:
        super().__init__(f"{what} needs packages that are not installed; run: pip install 'stgt[{extra}]'")
