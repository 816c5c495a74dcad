"""``stgt bench frames``, small."""

import re

import pytest

from stgt import bench
from stgt.errors import StgtError


def test_both_ways_of_training_are_measured(capsys):
    small = ["--clips", "6", "--stream_frames", "2", "--batch_size", "6", "--rounds", "1", "--size", "64"]
    bench.main(["frames", "--models", "test_efficientnet", *small])
    shown = capsys.readouterr().out
    assert "12 pictures of 6 clips, 6 in a step at 64 pixels" in shown
    rates = [float(rate) for rate in re.findall(r"([\d.]+) images/s", shown)]
    ratios = [float(ratio) for ratio in re.findall(r"([\d.]+) x$", shown, re.MULTILINE)]
    assert len(rates) == 2
    assert ratios[1] == pytest.approx(rates[1] / rates[0], rel=0.1)


def test_the_table_of_costs(monkeypatch, capsys):
    monkeypatch.setattr("stgt.benchmarks.frames.FRAME_MODELS", ("vgg13-ferplus",))
    bench.main(["frames", "--list", "true", "--size", "64"])
    assert re.search(r"vgg13-ferplus +8\.76 M +1\.75 +none", capsys.readouterr().out)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--batch_size", "6", "--stream_frames", "4"], "must be a multiple of stream_frames, 4"),
        (["--clips", "2"], "at most the 8 pictures"),
        (["--models", "dan"], "dan is no model of timm"),
    ],
    ids=lambda value: value[0].lstrip("-") if isinstance(value, list) else "",
)
def test_what_cannot_be_measured(options, message):
    with pytest.raises(StgtError, match=message):
        bench.main(["frames", *options])
