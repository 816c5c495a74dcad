"""``stgt prepare``: landmark tracks and face crops of a whole dataset, extracted once; an interrupted run goes on."""

import sys
from collections.abc import Mapping

from stgt.command import argument_parser, run
from stgt.data.catalog.cards import DatasetCard, load_card
from stgt.data.disk import counted
from stgt.data.preparation.prepare import Prepared, cache_folder, prepare_clips


def main(arguments: list[str]) -> int:
    """Find the clips, prepare them, say what came of it."""
    parser = argument_parser("prepare", "Extract landmark tracks and face crops of a dataset, once.")
    parser.add_argument("--dataset", type=str, required=True, help="A card's name (stgt datasets lists them) or file.")
    parser.add_argument("--root", type=str, default=None, help="Where the dataset lies; none: $STGT_DATA or ./data.")
    parser.add_argument(
        "--cache", type=str, default=None, help="Where results go; none: $STGT_CACHE or the user cache."
    )
    parser.add_argument("--workers", type=int, default=None, help="Processes; none: one per core.")
    parser.add_argument(
        "--backend", type=str, default="local", help="Who works: local, ray or dask; the latter two on many machines."
    )
    parser.add_argument("--subject_pattern", type=str, default=None, help="For folder: pattern that finds the subject.")
    parser.add_argument("--subject_csv", type=str, default=None, help="For folder: CSV with the columns clip, subject.")
    options = parser.parse_args(arguments)
    card = load_card(options.dataset)
    listing = card.find_clips(options.root, options.subject_pattern, options.subject_csv)
    for note in listing.notes:
        print(f"note: {note}", file=sys.stderr)
    prepared = prepare_clips(listing.clips, options.cache, options.workers, backend=options.backend)
    stills = {clip.clip_id: clip.aligned for clip in listing.clips if clip.kind == "image"}
    print(summary(card, prepared, str(cache_folder(options.cache)), stills))
    return 0


def summary(card: DatasetCard, prepared: Prepared, cache: str, stills: Mapping[str, bool]) -> str:
    """What was prepared, and by name what could not be, has no face, or was odd.

    ``stills`` are the clips that are single pictures, with whether they were cut around a face.
    """
    faceless = [clip_id for clip_id in prepared if prepared.valid_share(clip_id) == 0]
    pictures = [clip_id for clip_id in faceless if clip_id in stills]
    lines = [f"no face in any frame: {clip_id}" for clip_id in faceless if clip_id not in stills]
    if pictures:
        kept = sum(stills[clip_id] for clip_id in pictures)
        fate = f"; of {kept:,} the whole picture is kept as the face's crop" if kept else ""
        lines.append(f"no face found in {counted(len(pictures), 'picture')}: {', '.join(pictures)}{fate}")
    for clip_id, sentences in prepared.warnings.items():
        lines += [f"odd: {clip_id}: {sentence}" for sentence in sentences if clip_id not in faceless]
    for clip_id, reason in prepared.failures.items():
        known = " (broken in the release itself)" if clip_id in card.known_broken else ""
        lines.append(f"skipped: {clip_id}: {reason}{known}")
    parts = [f"{counted(len(prepared), 'clip')} prepared in {cache}"]
    if faceless:
        parts.append(f"{len(faceless)} of them without a face")
    if prepared.failures:
        parts.append(f"{len(prepared.failures)} skipped, unreadable")
    return "\n".join([*lines, ", ".join(parts)])


if __name__ == "__main__":
    run(main)
