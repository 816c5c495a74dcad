import itertools

import numpy as np
from stgt.realtime.painting.tags import Tag, TagPlaces, overlap, tag_size

BOUNDS = (0, 0, 640, 480)
SIZE = (150, 24)


def placed(boxes: dict) -> dict:
    corners = TagPlaces().place(dict.fromkeys(boxes, SIZE), boxes, BOUNDS, 6)
    return {face: (x, y, x + SIZE[0], y + SIZE[1]) for face, (x, y) in corners.items()}


def test_a_tag_lies_above_its_face():
    [tag] = placed({0: (200, 100, 300, 220)}).values()
    assert tag == (200, 100 - 6 - 24, 350, 100 - 6)


def test_without_room_above_it_lies_below_or_beside():
    assert placed({0: (200, 5, 300, 120)})[0][1] == 126
    tall = placed({0: (200, 5, 300, 478)})[0]
    assert overlap(tall, (200, 5, 300, 478)) == 0


def test_tags_hide_neither_faces_nor_one_another():
    rng = np.random.default_rng(0)
    for _ in range(40):
        columns = rng.permutation([20, 170, 320, 470])[:3]
        boxes = {}
        for face, left in enumerate(columns):
            top = int(rng.integers(0, 340))
            boxes[face] = (int(left), top, int(left) + 110, top + 130)
        tags = placed(boxes)
        for tag in tags.values():
            assert all(overlap(tag, box) == 0 for box in boxes.values())
            assert 0 <= tag[0] <= tag[2] <= 640
            assert 0 <= tag[1] <= tag[3] <= 480
        assert all(overlap(one, other) == 0 for one, other in itertools.combinations(tags.values(), 2))


def test_a_tag_does_not_jump_between_places_that_are_equally_good():
    places = TagPlaces()
    sides = []
    for top in [29, 31, 29, 31, 29]:  # one pixel of room above, or none
        box = (200, top, 300, top + 100)
        sides.append(places.place({0: SIZE}, {0: box}, BOUNDS, 6)[0][1] < top)
    assert len(set(sides)) == 1


def test_a_tag_keeps_its_width_while_its_figure_changes():
    widths = {tag_size(Tag(0, "happiness", figure, (0, 0, 0)), 14)[0] for figure in ("7 %", "77 %", "100 %")}
    assert len(widths) == 1
