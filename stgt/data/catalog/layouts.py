"""How clips lie on disk, as data: ``Clip``, and the layouts of a dataset card that find clips.

A layout either walks the disk (``clips`` is a pattern, ``match`` a regular expression over the path whose named groups
give subject, label, …) or follows lists (``clips`` is a template over their columns). What neither
says may stand in small text files beside the clip. ``reading`` reads layouts.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Clip:
    """One labelled stretch of a face."""

    clip_id: str
    """Unique within its dataset, stable across layouts and machines."""
    source: Path
    """A video file, a folder of images, a picture, or a file of tracks."""
    subject: str
    """Who is seen: folds keep a subject on one side. The clip's own id where the dataset does not say who is seen."""
    label: str
    """Class name, never an index."""
    split: str | None = None
    """``train``, ``validation`` or ``test`` where the dataset has one official split."""
    start_s: float | None = None
    """Where the clip starts in its source, in seconds; none: at the start."""
    end_s: float | None = None
    """Where the clip ends in its source, in seconds; none: at the end."""
    frame_rate: float | None = None
    """Hz, for folders of images, which carry no time of their own, and for tracks without times."""
    apex: str = "unknown"
    """``last``: the expression is strongest at the end; ``unknown``: it may be anywhere."""
    dataset: str = ""
    """Name of the card that found it, without its variant."""
    kind: str = "video"
    """What ``source`` is: ``video``, ``images`` (a folder), ``image`` (a single picture: one frame at time 0) or
    ``tracks`` (landmarks that another program wrote)."""
    splits: tuple[str, ...] = ()
    """Where the dataset has official folds, one word for each: on which side of fold k the clip is; ``""``: on none."""
    shares: Mapping[str, float] | None = field(default=None, hash=False)
    """Class name -> share of the annotators who saw it, or of the expression in a blend; above 0, 1 in all. None: only
    ``label``, the class of the largest share, is known."""
    aligned: bool = False
    """Whether a picture shows nothing but an upright face: where none is found in it, the whole of it is the crop."""


@dataclass(frozen=True)
class TextFile:
    """A small text file beside a clip that says something of it: its label (CK+), or from where it was filmed (MMI)."""

    find: str
    """Pattern below the root, after ``{places}``, ``{values}`` and the groups of ``match`` are filled in."""
    match: str
    """Regular expression; its named groups are added to those of the clip, above all ``label``."""
    over: str = "text"
    """What ``match`` reads: the file's ``text``, its ``path`` below the root, or the one value of an ``array`` (a
    ``.npy`` file; one that is pickled is not read)."""
    optional: bool = False
    """A file in which ``match`` finds nothing is no fault: its clip has no label."""
    last_image: str | None = None
    """Regular expression over the file's name; its group ``number`` says at which image the clip ends."""


@dataclass(frozen=True)
class SplitList:
    """A list of clips that the dataset comes with, usually of one side of an official split."""

    file: str
    """Path below the root; with ``{fold}`` in it one file for each official fold, counted from 1."""
    split: str | None = None
    """``train``, ``validation`` or ``test``; none: the rows say it, or there is no split."""


@dataclass(frozen=True)
class Ignored:
    """What belongs to the dataset but not to its clips."""

    match: str
    """Regular expression over the path, or over the named ``group``."""
    because: str
    """Why it is left out, for the notes."""
    group: str | None = None
    """A group of the clip (from ``match``, a list or a text file) that is looked at instead of the path."""


@dataclass(frozen=True)
class Votes:
    """How many annotators saw which expression, or how much of a blend each is, in columns of a layout's lists.

    Where the lists have no column ``label``, a clip's label is the expression with the most votes.
    """

    columns: Mapping[str, str] = field(default_factory=dict)
    """Class name or code -> the column that holds its votes."""
    column: str = ""
    """Instead of these: one column with all of them, such as ``anger=0.7 fear=0.3``. Where it is not there, or empty,
    nothing but the label is known of a clip."""
    outliers: float = 0.0
    """So many votes for an expression, or fewer, count as none."""
    majority: float = 0.0
    """A clip is left out unless its first expression has more than this share of the votes."""
    none: tuple[str, ...] = ()
    """Columns of votes for no expression (unknown, not a face); a clip whose most votes these are is left out."""


@dataclass(frozen=True)
class PixelTable:
    """Small grey pictures that a CSV file holds as numbers, a row each; they are written out once as PNG files.

    ``{pictures}`` is then the folder in the cache where they lie, named by ``{row}``, the number of the row from 0,
    which the lists of the layout have, too: list and table go together row by row.
    """

    file: str
    """Path below the root."""
    column: str = "pixels"
    """Its column with the pixels' values, 0 to 255, row by row, with spaces between them."""
    side: int = 48
    """Width and height of the pictures, in pixels."""


@dataclass(frozen=True)
class Layout:
    """One way in which a dataset lies on disk; the fields are the keys of a ``[[layouts]]`` table."""

    clips: str
    """With lists: path of a clip, its name with or without suffix, ``{columns}`` filled in. Else a pattern that finds
    clips. ``**`` stands for any number of folders, ``{places}`` and ``{values}`` are filled in."""
    name: str = ""
    """What this layout is called in notes, and by the card's ``use``."""
    match: str | None = None
    """Regular expression over the path below the root. Groups with a meaning: ``subject``, ``label``, ``clip_id``,
    ``split``, ``start_s``, ``end_s``; others may fill ``clip_id`` and ``files``."""
    table: str | None = None
    """One list; short for a ``[[layouts.lists]]`` without a split."""
    lists: tuple[SplitList, ...] = ()
    """The lists that say which clips there are."""
    line: str | None = None
    """Regular expression over the lines of lists without a header; its groups are the columns. None: the lists are
    CSV files with a header."""
    columns: Mapping[str, str] = field(default_factory=dict)
    """A column of the lists by the name that STGT knows (``label``, ``subject``, ``clip``, …) -> its name in them."""
    folds: int = 0
    """How many official folds the lists are of; 0: one split."""
    clip_id: str | None = None
    """Template over groups or columns; ``{number:5}`` fills up with zeros. None: the group, else the path."""
    kind: str = "video"
    """``video``, ``images`` (folders of images), ``any`` of both, ``image`` (single pictures), or ``tracks`` of other
    programs."""
    frame_rate: float | None = None
    """Hz, for folders of images and tracks without times."""
    prefer: str | None = None
    """A group: of several files with one clip id, the one with the smallest value is used."""
    places: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Name -> folders below the root; the first that is there replaces ``{name}``, and one must be."""
    files: tuple[TextFile, ...] = ()
    """Text files beside each clip."""
    ignore: tuple[Ignored, ...] = ()
    aligned: bool = False
    """Of single pictures: each was cut around an upright face. Where none is found in one, the whole of it is kept as
    the face's crop: a model that looks at frames sees it, landmarks are missing."""
    votes: Votes | None = None
    """Labels as votes or shares of several expressions, see below."""
    pixels: PixelTable | None = None
    """Pictures as numbers in a CSV file, see below."""
