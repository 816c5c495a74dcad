"""The photo door, in Chromium."""

import re

import pytest

from stgt.inference import ExpressionReader

pytest.importorskip("playwright")
from playwright.sync_api import expect


@pytest.fixture
def photo_door(open_page):
    return open_page("#photo")


def test_several_photos_at_once(photo_door, by_test, photos, face_pictures):
    by_test(photo_door, "photo-input").set_input_files([photos["one"], photos["two"], photos["nobody"]])
    items = by_test(photo_door, "photo-item")
    expect(items).to_have_count(3)
    for index, people in enumerate((1, 2, 0)):
        expect(items.nth(index).locator('[data-test="photo-person"]')).to_have_count(people)
    labels = set(ExpressionReader().labels)
    for person in by_test(photo_door, "photo-person").all():
        assert person.get_attribute("data-label") in labels | {"uncertain"}
        assert re.search(r"\d", person.inner_text())
    expect(items.nth(2)).to_have_text(re.compile("no face|nobody|no one", re.IGNORECASE))
    expect(by_test(photo_door, "photo-note").first).to_be_visible()
    assert by_test(photo_door, "photo-note").first.inner_text().strip()
    expect(by_test(photo_door, "photo-canvas").first).to_be_visible()


def test_what_is_no_picture_does_not_stop_the_others(photo_door, by_test, photos, tmp_path):
    letter = tmp_path / "letter.png"
    letter.write_text("Dear Sir or Madam")
    by_test(photo_door, "photo-input").set_input_files([letter, photos["one"]])
    expect(by_test(photo_door, "photo-error").first).to_be_visible()
    expect(by_test(photo_door, "photo-person")).to_have_count(1)
