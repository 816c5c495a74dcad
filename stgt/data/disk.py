"""What ``stgt.data`` asks of the disk: media, natural order, CSV files."""

import csv
import re
from collections.abc import Iterator, Mapping
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
            reader = csv.DictReader(file)
            if not reader.fieldnames:
                raise DatasetError(f"{path} is empty: it needs a header and a row per clip")
            for row in reader:
                yield {(key or "").strip(): (value or "").strip() for key, value in row.items() if key}
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

    def replacement(found: re.Match[str]) -> str:
        if partly and found[1] not in values:
            return found[0]
        value = values[found[1]]
        return str(int(value)).zfill(int(found[2])) if found[2] and value.isdecimal() else value

    return re.sub(r"\{([A-Za-z_]\w*)(?::(\d+))?\}", replacement, template)


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
