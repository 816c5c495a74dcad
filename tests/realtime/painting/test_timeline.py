import numpy as np
from stgt.realtime.painting.lettering import LABEL_COLOURS
from stgt.realtime.painting.timeline import Timeline, draw_stack

LEFT, RIGHT = np.array([1.0, 0.0]), np.array([0.0, 1.0])
UNKNOWN = np.full(2, np.nan)


def filled(timeline: Timeline, now_s: float, width: int = 80) -> str:
    """The middle row of the drawn timeline: a letter per label, a dot where nothing was known."""
    picture = np.zeros((20, width, 3), np.uint8)
    draw_stack(picture, (0, 0, width, 20), timeline, now_s, LABEL_COLOURS)
    letters = {LABEL_COLOURS[0]: "a", LABEL_COLOURS[1]: "b"}
    return "".join(letters.get(tuple(int(part) for part in pixel), ".") for pixel in picture[10])


def test_it_scrolls():
    timeline = Timeline(2, span_s=8.0)
    for index in range(41):
        timeline.push(index * 0.1, LEFT if index < 20 else RIGHT)
    row = filled(timeline, 4.0)
    assert row[:38].count(".") >= 37, "nothing was known before"
    assert row[42:58] == "a" * 16
    assert row[62:78] == "b" * 16
    for index in range(41, 61):
        timeline.push(index * 0.1, RIGHT)
    assert filled(timeline, 6.0)[22:38] == "a" * 16


def test_where_nothing_was_known_there_is_a_gap():
    timeline = Timeline(2, span_s=8.0)
    for index in range(81):
        known = not 30 <= index < 50
        timeline.push(index * 0.1, LEFT if known else UNKNOWN)
    row = filled(timeline, 8.0)
    assert row[2:28] == "a" * 26
    assert row[32:48] == "." * 16
    assert row[53:78] == "a" * 25
    gone = Timeline(2, span_s=8.0)
    for index in [*range(30), *range(50, 81)]:  # nobody was pushed at all
        gone.push(index * 0.1, LEFT)
    assert filled(gone, 8.0)[32:48] == "." * 16


def test_a_long_hold_is_no_ramp():
    timeline = Timeline(2, span_s=8.0)
    for index in range(41):
        timeline.push(index * 0.1, LEFT)
    timeline.push(4.1, RIGHT)
    [(times, values)] = timeline.runs(4.1)
    assert values[times <= 4.0][:, 0].min() == 1.0


def test_memory_is_bounded_at_any_rate():
    timeline = Timeline(2, span_s=8.0)
    rng = np.random.default_rng(0)
    sizes = []
    for index in range(6000):
        share = rng.random()
        timeline.push(index / 240, np.array([share, 1 - share]))
        if index % 2000 == 1999:
            sizes.append(sum(len(times) for times, _ in timeline.runs(index / 240)))
    assert max(sizes) <= 8 * 30 * 1.1
    assert sizes[-1] == sizes[-2]


def test_a_clock_that_runs_backwards_begins_anew():
    timeline = Timeline(2)
    timeline.push(5.0, LEFT)
    timeline.push(5.1, LEFT)
    timeline.push(0.0, RIGHT)
    timeline.push(0.1, RIGHT)
    [(times, _)] = timeline.runs(0.1)
    assert times.max() == 0.1
