"""What is measured is what a model reads: a batch holds the streams of its settings, and no others."""

from dataclasses import replace

import pytest

from stgt.benchmarks.models import random_batch, stream_settings, training_step
from stgt.config import STREAMS, ModelConfig, WindowConfig

SETTINGS = stream_settings(ModelConfig(width=16, heads=2, patch_size=6, stream_frames=2, backbone="test_efficientnet"))


@pytest.mark.parametrize("streams", SETTINGS)
def test_a_batch_holds_the_streams_of_its_settings_and_trains(streams):
    config, window = SETTINGS[streams], WindowConfig(frames=8)
    batch = random_batch(config, window, 2)
    given = {name for name in STREAMS if getattr(batch, name) is not None}
    assert given == set(streams.split(","))
    training_step(replace(config, modality_dropout=0.0), window, 2)()


def test_every_stream_is_measured():
    assert {name for streams in SETTINGS for name in streams.split(",")} == set(STREAMS)
