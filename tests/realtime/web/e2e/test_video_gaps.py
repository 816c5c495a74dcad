"""Where nobody was seen, the video door says nothing, although windows reach over the gap."""

import re

import pytest

pytest.importorskip("playwright")
from playwright.sync_api import expect


def test_the_timeline_has_a_gap_where_nobody_was_seen(open_page, by_test, short_video):
    page = open_page("#video")
    by_test(page, "video-input").set_input_files(short_video)
    timeline = by_test(page, "video-timeline")
    expect(timeline).to_have_count(1)
    box = timeline.bounding_box()
    end_s = float(timeline.get_attribute("aria-valuemax"))
    for time_s, seen in ((1.3, True), (1.7, False), (2.3, False), (2.7, True)):
        timeline.click(position={"x": box["width"] * time_s / end_s, "y": box["height"] / 2})
        expect(timeline).to_have_attribute(
            "aria-valuetext", re.compile(rf"^{time_s} s, " + (r"\w+ \d\.\d\d" if seen else "nothing read"))
        )
        expect(page.locator(".person-now .shown")).to_have_text(re.compile(r"\d %" if seen else "out of sight"))
