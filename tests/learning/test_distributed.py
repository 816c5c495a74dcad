"""Two processes that share a step's windows compute what one computes of all of them."""

import os
import runpy
import socket
import subprocess
import sys

import pytest
import torch
from torch import nn

from stgt.learning.distributed import SharedBatchNorm, processes, share_statistics, summed

#: What each of two processes does: normalises its rows, takes a weighted loss, and goes back.
SCRIPT = """
import sys
import numpy as np
import torch
from safetensors.torch import save_file
from stgt.config import OptimisationConfig
from stgt.learning.distributed import share_statistics
from stgt.learning.losses import TrainingLoss

rank, port, world, target = int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), sys.argv[4]
if world > 1:
    torch.distributed.init_process_group("gloo", f"tcp://127.0.0.1:{port}", rank=rank, world_size=world)
generator = torch.Generator().manual_seed(0)
rows, labels = torch.randn(12, 3, 2, generator=generator) * 3 + 5, torch.randint(0, 3, (12,), generator=generator)
torch.manual_seed(1)
model = torch.nn.Sequential(torch.nn.BatchNorm1d(3), torch.nn.Flatten(), torch.nn.Linear(6, 3))
if world > 1:
    share_statistics(model)
config = OptimisationConfig(loss="cross_entropy+centre+affinity")
loss = TrainingLoss(3, 6, config, np.array([9.0, 4.0, 1.0]))
*before, classifier = model
features = torch.nn.Sequential(*before)(rows[rank::world])
value = loss.total(loss(classifier(features), labels[rank::world], {"features": features}))
value.backward()
parts = [*model.named_parameters(), *loss.named_parameters()]
found = {name: parameter.grad for name, parameter in parts} | dict(model.named_buffers())
found |= {"loss": value.detach(), "running_centres": loss.terms["centre"].centres}
if world > 1:
    for name, tensor in found.items():
        if name == "loss" or "running" not in name and "tracked" not in name:
            torch.distributed.all_reduce(tensor)  # as the gradients of processes are averaged
            tensor /= world
save_file({name: tensor.contiguous() for name, tensor in found.items()}, target)
if world > 1:
    torch.distributed.barrier()
    torch.distributed.destroy_process_group()  # left to the end of the process, its threads may abort it
"""


def free_port() -> int:
    with socket.socket() as opened:
        opened.bind(("127.0.0.1", 0))
        return opened.getsockname()[1]


def test_two_processes_compute_what_one_does(tmp_path, monkeypatch):
    from safetensors.torch import load_file

    script, port = tmp_path / "script.py", str(free_port())
    script.write_text(SCRIPT)

    def start(rank: int, world: int, name: str) -> subprocess.Popen:
        command = [sys.executable, str(script), str(rank), port, str(world), str(tmp_path / name)]
        return subprocess.Popen(command, env={**os.environ, "OMP_NUM_THREADS": "1"})

    started = [start(0, 2, "first"), start(1, 2, "second")]
    try:
        monkeypatch.setattr(sys, "argv", ["", "0", port, "1", str(tmp_path / "one")])
        runpy.run_path(str(script))
        assert [process.wait(timeout=120) for process in started] == [0, 0]
    finally:
        for process in started:
            process.kill()
    one, *both = (load_file(tmp_path / name) for name in ("one", "first", "second"))
    for two in both:
        assert set(two) == set(one)
        for name, value in one.items():
            torch.testing.assert_close(two[name], value, rtol=1e-5, atol=1e-6, msg=lambda text, name=name: name + text)


@pytest.mark.parametrize("shape", [(8, 4), (8, 4, 5), (8, 4, 5, 3)])
def test_alone_it_is_batch_normalisation(shape):
    kind = {2: nn.BatchNorm1d, 3: nn.BatchNorm1d, 4: nn.BatchNorm2d}[len(shape)]
    plain = kind(4)
    nn.init.normal_(plain.weight)
    shared = SharedBatchNorm.of(kind(4))
    shared.load_state_dict(plain.state_dict())
    rows = torch.randn(shape, generator=torch.Generator().manual_seed(0)) * 2 + 3
    for _ in range(2):
        torch.testing.assert_close(shared(rows), plain(rows), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(shared.state_dict(), plain.state_dict())
    torch.testing.assert_close(shared.eval()(rows), plain.eval()(rows))


def test_a_model_keeps_the_names_and_the_parameters_of_its_state():
    model = nn.Sequential(nn.Linear(2, 4), nn.Sequential(nn.BatchNorm1d(4), nn.LayerNorm(4)))
    names, weight = list(model.state_dict()), model[1][0].weight
    share_statistics(model)
    assert isinstance(model[1][0], SharedBatchNorm)
    assert list(model.state_dict()) == names
    assert model[1][0].weight is weight


def test_alone_a_sum_is_its_only_share():
    assert processes() == 1
    assert summed(torch.tensor(3.0)).item() == 3.0
