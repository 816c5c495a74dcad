"""Every layout of every card, in trees exactly as published: what is found, and what is said of what is not."""

import pytest
from layout_trees import all_layouts, build

from stgt.data.catalog.cards import load_card

#: Layouts that are chosen by a variant where the usual one lies beside them.
VARIANTS = {("oulu-casia", "cropped"): "cropped", ("afew", "aligned"): "aligned"}


@pytest.mark.parametrize(("card", "layout"), all_layouts())
def test_every_layout_gives_its_clips(card, layout, tmp_path):
    built = build(card, layout, tmp_path / card)
    variant = VARIANTS.get((card, layout))
    listing = load_card(f"{card}@{variant}" if variant else card).find_clips(built.root)
    found = {clip.clip_id: (clip.subject, clip.label) for clip in listing.clips}
    assert found == built.clips, "\n".join(listing.notes)
    for clip in listing.clips:
        assert clip.dataset == card
        assert clip.source.exists()
        assert clip.kind == ("images" if clip.source.is_dir() else "video")
        assert (clip.frame_rate is None) == (clip.kind == "video")
        split = built.splits.get(clip.clip_id)
        assert (clip.splits or clip.split) == split or split is None
