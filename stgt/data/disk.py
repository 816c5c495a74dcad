"""What ``stgt.data`` asks of the disk: media, natural order, CSV files."""

import csv
import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from itertools import zip_longest
from pathlib import Path

from stgt.errors import DatasetError

# The same as in stgt.faces.video, which is not imported here because listing datasets needs no OpenCV.
VIDEO_SUFFIXES = (".mp4", ".flv", ".avi", ".mov", ".mkv", ".webm", ".m4v", ".mpg", ".mpeg", ".wmv", ".3gp")
TRACK_SUFFIXES = (".csv", ".npz", ".safetensors")
IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp")


def image_files(folder: Path) -> list[Path]:
    """The images directly in ``folder``, in natural order."""
    files = (file for file in folder.iterdir() if file.suffix.lower() in IMAGE_SUFFIXES and file.name[0] != ".")
    return sorted(files, key=lambda file: natural_key(file.name))


def image_number(file: Path) -> int | None:
    """The last number in an image's name."""
    numbers = re.findall(r"\d+", file.stem)
    return int(numbers[-1]) if numbers else None


def natural_key(text: str) -> tuple[tuple[int, int | str], ...]:
    """Sorting key under which ``S2`` comes before ``S10``."""
    return tuple((0, int(part)) if part.isdecimal() else (1, part) for part in re.split(r"(\d+)", text) if part)


def read_csv(path: Path) -> Iterator[dict[str, str]]:
    """The rows of a CSV file with a header; a byte order mark and CRLF do no harm.

    Raises:
        DatasetError: the file is missing, empty or no UTF-8 text.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file)
            columns = [name.strip() for name in next(reader, [])]
            if not columns:
                raise DatasetError(f"{path} is empty: it needs a header and a row per clip")
            for row in reader:
                if row:
                    yield dict(zip_longest(columns, map(str.strip, row[: len(columns)]), fillvalue=""))
    except FileNotFoundError:
        raise DatasetError(f"{path} is not there") from None
    except OSError as error:
        raise DatasetError(f"{path} cannot be read ({error.strerror})") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise DatasetError(f"{path} is not a CSV file in UTF-8 ({error})") from None


def subject_table(path: Path) -> dict[str, str]:
    """Clip -> subject from a CSV file with the columns ``clip`` and ``subject``."""
    rows = list(read_csv(path))
    if not rows or not {"clip", "subject"} <= set(rows[0]):
        raise DatasetError(f"{path} needs a header with the columns clip and subject, and a row per clip")
    return {row["clip"].replace("\\", "/").strip("/"): row["subject"] for row in rows if row["subject"]}


def filled(template: str, values: Mapping[str, str], partly: bool = False) -> str:
    """``{name}`` in ``template`` replaced from ``values``; unknown names raise KeyError unless ``partly``.

    ``{name:5}`` fills a number up with zeros to five digits; anything else it leaves as it is.
    """
    texts = []
    for text, name, width in parts(template):
        if name and not (partly and name not in values):
            text = values[name]
            if width and text.isdecimal():
                text = str(int(text)).zfill(width)
        texts.append(text)
    return "".join(texts)


@lru_cache(maxsize=256)
def parts(template: str) -> tuple[tuple[str, str, int], ...]:
    """``template`` cut up, once for all the rows of a list: its text, or the name in braces and the width after it."""
    found = re.split(r"(\{[A-Za-z_]\w*(?::\d+)?\})", template)
    names = (text[1:-1].partition(":") if index % 2 else ("", "", "") for index, text in enumerate(found))
    return tuple((text, name, int(width or 0)) for text, (name, _, width) in zip(found, names, strict=True) if text)


def seconds(text: str | None) -> float | None:
    """A time in a table; empty means none.

    Raises:
        DatasetError: it is not a number.
    """
    if not text:
        return None
    try:
        return float(text)
    except ValueError:
        raise DatasetError(f"{text!r} is not a time in seconds") from None


def compiled(pattern: str, what: str) -> re.Pattern[str]:
    """``pattern`` as a compiled regular expression.

    Raises:
        DatasetError: it is not a regular expression.
    """
    try:
        return re.compile(pattern)
    except re.error as error:
        raise DatasetError(f"{what} {pattern!r} is not a regular expression: {error}") from None


def counted(number: int, noun: str) -> str:
    """``1 clip``, ``1,440 clips``; ``class`` becomes ``classes``."""
    plural = noun + ("es" if noun.endswith("s") else "s")
    return f"{number:,} {noun if number == 1 else plural}"
