"""Pictures that a CSV file holds as numbers (FER2013), written out once as PNG files into the cache."""

import hashlib
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from stgt.data.catalog.layouts import PixelTable
from stgt.data.disk import counted, read_csv
from stgt.errors import DatasetError
from stgt.files import read_json, write_json

#: Where they lie in the cache; the number changes with what is written.
FOLDER, ABOUT = "pictures-1", "about.json"


@dataclass(frozen=True)
class Pictures:
    """The pictures of a table."""

    folder: Path
    """Holds ``00000.png``, …: the number of the row, from 0, in five digits."""
    faulty: Mapping[str, str]
    """Number of a row that holds no picture -> why."""


def written_out(root: Path, table: PixelTable, partner: Path, rows: int) -> Pictures:
    """The pictures of ``table`` as files, written now unless they are in the cache already.

    Args:
        root: folder of the dataset.
        table: which file holds them.
        partner: the list that goes together with it, row by row.
        rows: how many rows that list has.

    Raises:
        DatasetError: the two files have different numbers of rows, the table has no such column, or the cache cannot be
            written.
    """
    from stgt.data.preparation.content import hash_file
    from stgt.data.preparation.prepare import cache_folder

    source = root / table.file
    digest = hashlib.blake2b(f"{table.column}\0{table.side}\0".encode(), digest_size=10)
    hash_file(source, digest)
    folder = cache_folder() / FOLDER / digest.hexdigest()
    if not (folder / ABOUT).is_file():
        try:
            write_all(source, table, folder)
        except OSError as error:
            raise DatasetError(
                f"the pictures in {source} cannot be written to {folder} ({error.strerror}); name a cache that can be "
                "written by STGT_CACHE"
            ) from None
    about = read_json(folder / ABOUT)
    if about["rows"] != rows:
        raise DatasetError(
            f"{source} has {counted(about['rows'], 'row')} and {partner} has {rows:,}: they go together row by row, so "
            "neither can be used; get both files anew"
        )
    return Pictures(folder, about["faulty"])


def write_all(source: Path, table: PixelTable, folder: Path) -> None:
    """Write every picture of a table to ``folder``, which is there whole or not at all."""
    import cv2
    from tqdm import tqdm

    folder.parent.mkdir(parents=True, exist_ok=True)
    begun = Path(tempfile.mkdtemp(prefix=".", dir=folder.parent))
    try:
        faulty, count = {}, 0
        for pixels in tqdm(pixel_rows(source, table), f"writing out {source.name}", delay=2, ncols=100, leave=False):
            picture = picture_of(pixels, table.side)
            if picture is None:
                faulty[str(count)] = f"its pixels are not {table.side} x {table.side} numbers from 0 to 255"
            elif not cv2.imwrite(str(begun / f"{count:05}.png"), picture):
                raise OSError(0, "disk full?")
            count += 1
        write_json(begun / ABOUT, {"source": str(source), "rows": count, "faulty": faulty})
        try:
            begun.replace(folder)
        except OSError:
            # Another process was faster; what it wrote is the same.
            if not (folder / ABOUT).is_file():
                raise
    finally:
        shutil.rmtree(begun, ignore_errors=True)


def pixel_rows(source: Path, table: PixelTable) -> Iterator[str]:
    """The pixels of each row, as text."""
    for row in read_csv(source):
        if table.column not in row:
            raise DatasetError(f"{source} has no column {table.column!r}; it has {', '.join(row)}")
        yield row[table.column]


def picture_of(pixels: str, side: int):  # noqa: ANN201 - numpy is imported late
    """``(side, side)`` uint8 from numbers with spaces between them; None if they are no such picture."""
    import numpy as np

    try:
        values = np.array(pixels.split(), np.int64)
    except (ValueError, OverflowError):
        return None
    if values.size != side * side or values.min() < 0 or values.max() > 255:
        return None
    return values.reshape(side, side).astype(np.uint8)
