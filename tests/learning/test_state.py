"""The state of an interrupted training on disk."""

from collections import OrderedDict

import pytest
import torch

from stgt.errors import CheckpointError
from stgt.learning.state import SafetensorsState


def test_a_nested_state_comes_back_as_it_was(tmp_path):
    state = {
        "epoch": 3,
        "optimizer_states": [
            {"state": {0: {"step": torch.tensor(2.0), "exp_avg": torch.arange(4.0)}}, "groups": (1, None)}
        ],
        "state_dict": OrderedDict(weight=torch.eye(2, dtype=torch.bfloat16)),
        "loss": float("inf"),
        "exact": 0.1 + 0.2,
        "flag": True,
    }
    path = tmp_path / "resume.safetensors"
    SafetensorsState().save_checkpoint(state, path)
    back = SafetensorsState().load_checkpoint(path)
    assert back["epoch"] == 3
    assert back["exact"] == 0.1 + 0.2
    assert back["loss"] == float("inf")
    assert back["flag"] is True
    assert back["optimizer_states"][0]["groups"] == (1, None)
    assert torch.equal(back["optimizer_states"][0]["state"][0]["exp_avg"], torch.arange(4.0))
    assert back["state_dict"]["weight"].dtype == torch.bfloat16


def test_tensors_that_share_memory_are_kept_apart(tmp_path):
    base = torch.arange(6.0)
    SafetensorsState().save_checkpoint({"a": base, "b": base[:3]}, tmp_path / "s.safetensors")
    back = SafetensorsState().load_checkpoint(tmp_path / "s.safetensors")
    assert torch.equal(back["b"], base[:3])


def test_a_damaged_state_says_what_to_do(tmp_path):
    path = tmp_path / "resume.safetensors"
    SafetensorsState().save_checkpoint({"a": torch.ones(100)}, path)
    path.write_bytes(path.read_bytes()[:-50])
    with pytest.raises(CheckpointError, match="delete it"):
        SafetensorsState().load_checkpoint(path)


def test_what_cannot_be_kept_is_refused(tmp_path):
    with pytest.raises(TypeError, match="cannot hold"):
        SafetensorsState().save_checkpoint({"a": object()}, tmp_path / "s.safetensors")
    assert list(tmp_path.iterdir()) == []
