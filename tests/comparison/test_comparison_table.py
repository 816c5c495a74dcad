"""The table of a comparison: ranks, differences that are told apart from chance, and what is written."""

import csv
import io
import json

import pytest

from stgt.comparison.figure import comparison_figure
from stgt.comparison.standings import Standings
from stgt.comparison.table import Comparison
from stgt.evaluation.metrics import paired_difference
from stgt.evaluation.plots import to_png


@pytest.fixture
def standings(result_of) -> Standings:
    results = (
        result_of("weak", 0.2, seconds=0.2),
        result_of("strong", 2.2, quickened={"optimisation.epochs": (40, 12)}),
        result_of("near", 2.1, seconds=0.001),
    )
    return Standings("set", "The set", results, {"broken": "fold 0: no | weights"}, ("late",))


@pytest.fixture
def comparison(standings) -> Comparison:
    return Comparison((standings,), True, "stgt compare --models weak,strong")


def test_methods_stand_by_uar_and_are_held_against_the_best(standings):
    best, second, last = standings.ranked
    assert last.method == "weak"
    assert best.summary.pooled.uar >= second.summary.pooled.uar > last.summary.pooled.uar
    assert set(standings.behind) == {second.method, last.method}
    difference = paired_difference(best.table, last.table)
    assert standings.behind["weak"].difference == difference
    assert standings.behind["weak"].clear
    assert not standings.behind[second.method].clear


def test_many_comparisons_ask_for_more(result_of):
    """A lead whose 95 % interval is just above 0 is clear as one of one comparison, but not as one of many."""
    from stgt.comparison.standings import compare

    best = result_of("strong", 2.2).table
    for skill in (1.3, 1.4, 1.5, 1.6, 1.7, 1.8):
        other = result_of("other", skill).table
        if compare(best, other, 1).clear and not compare(best, other, 400).clear:
            return
    pytest.fail("the number of comparisons changes nothing")


def test_the_markdown_says_protocol_scores_failures_and_what_quick_means(comparison):
    text = comparison.to_markdown()
    assert text.index("Quick setting") < text.index("## The set (set)") < text.index("**Protocol:** Faces, four folds.")
    assert "- **strong**: optimisation.epochs 12 instead of 40" in text
    assert "- **broken**: fold 0: no | weights" in text
    assert "Not fitted yet: late." in text
    rows = [line for line in text.splitlines() if line.startswith("| weak")]
    assert rows[0].startswith("| weak | 120 k | 0.03 | 200 |")
    assert rows[0].count("[") == 3
    assert " * |" in rows[0]
    assert rows[1].count("|") == 6


def test_protocols_that_differ_are_told_apart(result_of):
    from dataclasses import replace

    tuned = replace(result_of("tuned", 1.0), sentence="Faces, four folds; initialised from x.")
    text = Comparison((Standings("set", "The set", (result_of("new", 1.0), tuned)),), False, "c").to_markdown()
    assert "**Protocol of new:** Faces, four folds." in text
    assert "**Protocol of tuned:** Faces, four folds; initialised from x." in text
    assert "Quick" not in text


def test_shares_of_classes_have_a_column_where_they_are_known(result_of):
    from dataclasses import replace

    from stgt.evaluation.distributions import distribution_scores

    known = result_of("known", 1.0)
    shares = {clip: {known.table.truth[place]: 1.0} for place, clip in enumerate(known.table.clip_ids)}
    scores = distribution_scores(known.table, shares)
    standings = Standings("set", "The set", (replace(known, shares=scores), result_of("strong", 2.2)))
    comparison = Comparison((standings,), False, "c")
    assert "| KL to true shares |" in comparison.to_markdown()
    assert f" {scores.kullback_leibler:.3f} |" in comparison.to_markdown()
    assert f",{scores.kullback_leibler:.6f}," in comparison.to_csv()


def test_csv_and_json_hold_the_same_numbers(comparison, tmp_path):
    comparison.write(tmp_path)
    rows = list(csv.DictReader(io.StringIO((tmp_path / "compare.csv").read_text())))
    document = json.loads((tmp_path / "compare.json").read_text())["datasets"]["set"]
    assert [row["method"] for row in rows] == [*document["methods"], "broken"]
    for row in rows[:-1]:
        method = document["methods"][row["method"]]
        pooled = method["scores"]["pooled"]
        assert float(row["uar"]) == pytest.approx(pooled["uar"], abs=1e-6)
        assert float(row["recall_sadness"]) == pytest.approx(pooled["recalls"]["sadness"], abs=1e-6)
        assert float(row["uar_low"]) < float(row["uar"]) < float(row["uar_high"])
        assert row["protocol"] == method["protocol"] == "Faces, four folds."
    assert rows[-1]["failure"] == "fold 0: no | weights"
    assert document["pending"] == ["late"]


def test_the_figure_names_each_method_once_beside_its_mark(comparison, tmp_path):
    figure = comparison_figure(comparison)
    cost, recall = figure.axes
    assert sorted(text.get_text() for text in cost.texts) == ["chance", "near", "strong", "weak"]
    assert len(recall.patches) == 3 * 4
    boxes = [text.get_window_extent() for text in cost.texts if text.get_text() != "chance"]
    assert not any(one.overlaps(other) for one in boxes for other in boxes if one is not other)
    to_png(figure, tmp_path / "compare.png")
    assert (tmp_path / "compare.png").read_bytes().startswith(b"\x89PNG")
