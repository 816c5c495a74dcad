import html.parser
import re
from dataclasses import replace

import numpy as np
import pytest

from stgt.errors import StgtError
from stgt.evaluation import plots
from stgt.evaluation.metrics import score
from stgt.evaluation.report import Attention, ModelResult, ReportInput, write_report
from stgt.graphs.layout import load_layout


class Page(html.parser.HTMLParser):
    """Checks nesting, and collects the text and everything that could point out of the file."""

    VOID = frozenset({"meta", "br", "link", "img", "input", "hr"})

    def __init__(self, source: str) -> None:
        super().__init__()
        self.open_tags: list[str] = []
        self.text: list[str] = []
        self.addresses: list[str] = []
        self.feed(source)
        self.close()

    def handle_starttag(self, tag, attrs):
        assert tag not in ("script", "link", "img", "iframe")
        self.addresses += [value for name, value in attrs if name in ("src", "href", "xlink:href")]
        if tag not in self.VOID:
            self.open_tags.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.addresses += [value for name, value in attrs if name in ("src", "href", "xlink:href")]

    def handle_endtag(self, tag):
        assert self.open_tags.pop() == tag

    def handle_data(self, data):
        self.text.append(data)

    @property
    def words(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self.text))


def read(path) -> tuple[str, Page]:
    source = path.read_text(encoding="utf-8")
    page = Page(source)
    assert not page.open_tags
    return source, page


@pytest.fixture
def full_report(with_faceless_clip, table_of) -> ReportInput:
    layout = load_layout("landmarks68")
    rng = np.random.default_rng(0)
    attention = Attention({label: rng.random(len(layout)) for label in with_faceless_clip.labels}, rng.random(16), 10.0)
    curves = [
        [
            {"epoch": epoch, "train_loss": 2 / (epoch + 1), "validation_uar": epoch / 10, "test_uar": epoch / 12}
            for epoch in range(8)
        ]
        for _ in range(5)
    ]
    return ReportInput(
        title="A <run>",
        dataset="synthetic",
        protocol="Five folds by subject.",
        models=[
            ModelResult(
                "stgt",
                with_faceless_clip,
                "the model",
                1_234_567,
                table_of(3, 2.0),
                curves,
                [3, 4, 5, 6, 7],
                attention,
                layout,
                75.0,
                [0.812, 1.204],
            ),
            ModelResult("stgcn", table_of(2, 0.8)),
        ],
        command="stgt train --dataset synthetic",
        seed=7,
        config={"model": {"width": 64}, "compare": ("stgcn",), "root": None},
        published=[
            {"method": "DGNN", "war": 96.02, "uar": None, "source": "Electronics 9(5):764", "note": "landmarks"}
        ],
        citation="@article{someone}",
        licence="CC0",
        skipped={"1076_MTI_NEU_XX": "the file is damaged"},
    )


def test_a_full_report_says_everything_and_stands_alone(tmp_path, full_report):
    source, page = read(write_report(tmp_path / "run" / "report.html", full_report))
    assert all(address.startswith("#") for address in page.addresses), "nothing outside the file"
    assert "url(http" not in source
    assert "@import" not in source
    scores = score(full_report.models[0].honest)
    for words in (
        "A <run>",
        "Five folds by subject.",
        "stgt train --dataset synthetic",
        f"{100 * scores.uar:.1f}",
        f"{100 * scores.war:.1f}",
        "Best-on-test",
        "Chance is 25.0 UAR",
        "1,234,567",
        "stgt − stgcn",
        "DGNN",
        "96.02",
        "is noise",
        "1076_MTI_NEU_XX",
        "the file is damaged",
        "model.width",
        "@article{someone}",
        "CC0",
        "1 clip held no face",
        "calibration error (ECE)",
        "0.81, 1.20",
        "Where stgt looked",
        "mouth",
    ):
        assert words in page.words, words
    assert source.count("<svg") == 2 + 2 + 1 + len(scores.labels) + 1


def test_a_bare_report_leaves_out_what_it_does_not_know(tmp_path, table):
    bare = ReportInput("Bare", "folder", "One split.", [ModelResult("stgt", table.fold(0))], versions={})
    _, page = read(write_report(tmp_path / "report.html", bare))
    assert "With only 4 test subjects" in page.words
    for words in (
        "over folds",
        "Best-on-test",
        "Difference between",
        "Learning",
        "looked",
        "published",
        "Left out",
        "Fold by fold",
    ):
        assert words not in page.words, words


def test_a_report_on_one_subject_names_the_missing_interval(tmp_path, table):
    alone = table.select(np.array([subject == "S00" for subject in table.subjects]))
    _, page = read(write_report(tmp_path / "report.html", ReportInput("One", "x", "y", [ModelResult("m", alone)])))
    assert "one subject: no interval" in page.words


def test_a_report_on_several_datasets_shows_each_by_itself(tmp_path, table):
    where = tuple("near" if int(subject[1:]) < 8 else "far" for subject in table.subjects)
    union = replace(table, datasets=where)
    _, page = read(write_report(tmp_path / "report.html", ReportInput("Both", "x", "y", [ModelResult("m", union)])))
    assert "Dataset by dataset" in page.words
    for name, number in (("near", where.count("near")), ("far", where.count("far"))):
        scores = score(union.dataset(name))
        assert scores.clips == number
        assert f"{name} {100 * scores.uar:.1f}" in page.words
    assert "Datasets 2" in page.words
    assert (
        "Dataset by dataset"
        not in read(write_report(tmp_path / "one.html", ReportInput("x", "x", "y", [ModelResult("m", table)])))[1].words
    )


def test_a_report_on_unknown_people_says_what_its_intervals_are(tmp_path, table):
    nobody = replace(table, subjects=table.clip_ids)
    _, page = read(write_report(tmp_path / "report.html", ReportInput("x", "x", "y", [ModelResult("m", nobody)])))
    assert "draws of clips : who is seen in them is not known" in page.words
    assert "Subjects unknown" in page.words
    some = replace(table, subjects=(*table.clip_ids[:40], *table.subjects[40:]))
    _, page = read(write_report(tmp_path / "report.html", ReportInput("x", "x", "y", [ModelResult("m", some)])))
    assert "where nobody knows who is seen (40 of 120)" in page.words
    _, page = read(write_report(tmp_path / "report.html", ReportInput("x", "x", "y", [ModelResult("m", table)])))
    assert "draws of subjects" in page.words


def test_a_report_says_how_rare_classes_were_treated(tmp_path, table):
    config = {"optimisation": {"loss": "logit_adjusted", "logit_adjustment": 1.5, "sampling": "balanced"}}
    report = ReportInput("x", "x", "y", [ModelResult("m", table)], config=config)
    _, page = read(write_report(tmp_path / "report.html", report))
    assert "logit-adjusted loss (Menon et al. 2021, tau 1.5), every class drawn as often as any other." in page.words


def test_a_report_shows_what_became_of_every_label(tmp_path, table):
    rows = [{"dataset": "wink", "clips": 18, "model": "", "fate": "left out: the model cannot name it"}]
    report = ReportInput("x", "x", "y", [ModelResult("m", table, labels=rows)])
    _, page = read(write_report(tmp_path / "report.html", report))
    assert "wink 18 – left out: the model cannot name it" in page.words


def test_a_report_without_a_clip_is_refused(tmp_path, table):
    nothing = table.select(np.zeros(len(table), dtype=bool))
    for models in ([], [ModelResult("stgt", nothing)]):
        with pytest.raises(StgtError, match="at least one"):
            write_report(tmp_path / "report.html", ReportInput("x", "x", "x", models))
    assert not list(tmp_path.iterdir())


def test_the_most_attended_node_is_the_largest_circle():
    layout = load_layout("landmarks68")
    assert len(set(re.findall(r'r="([\d.]+)"', plots.attention_on_face(layout, np.ones(len(layout)))))) == 1
    weights = np.ones(len(layout))
    weights[10] = 30
    face = plots.attention_on_face(layout, weights)
    circles = re.findall(r'cx="([\d.]+)" cy="([\d.]+)" r="([\d.]+)"', face)
    assert len(circles) == len(layout)
    points = layout.reference[:, :2] - layout.reference[:, :2].min(axis=0)
    expected = 10 + 200 * points[10] / np.ptp(layout.reference[:, 1])
    largest = max(circles, key=lambda circle: float(circle[2]))
    np.testing.assert_allclose([float(largest[0]), float(largest[1])], expected, atol=0.06)


def test_a_timeline_with_unread_windows_is_drawn(tmp_path):
    import cv2

    probabilities = np.array([[0.9, 0.1], [np.nan, np.nan], [0.2, 0.8]])
    figure = plots.timeline(("a", "b"), np.array([0.75, 1.25, 1.75]), probabilities, [(1.0, 1.5)], "video", (0.0, 2.5))
    plots.to_png(figure, tmp_path / "timeline.png")
    picture = cv2.imread(str(tmp_path / "timeline.png"))
    assert picture.shape[1] > 800
    blue = np.array([0xB2, 0x72, 0x00])  # the first label's colour, in OpenCV's order
    leads = (np.abs(picture.astype(int) - blue).sum(axis=2) < 80).any(axis=0).nonzero()[0]
    assert leads.max() < 0.6 * picture.shape[1], "the first label leads only at the beginning"
    empty = plots.timeline(("a",), np.zeros(0), np.zeros((0, 1)))
    plots.to_png(empty, tmp_path / "empty.png")
    assert plots.to_data_uri(empty).startswith("data:image/png;base64,")


def test_curves_without_a_value_make_no_figure():
    assert plots.learning_curves([[{"epoch": 0, "train_loss": float("nan"), "test_uar": None}]]) is None
