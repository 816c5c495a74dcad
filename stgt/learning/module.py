"""The Lightning module: loss, optimiser, schedule, and clip probabilities at the end of every epoch."""

import lightning
import numpy as np
import torch
from torch import Tensor, nn

from stgt.config import OptimisationConfig
from stgt.evaluation.pooling import pool_clips
from stgt.graphs.batch import WindowBatch
from stgt.learning.distributed import processes, summed, untouched
from stgt.learning.losses import TrainingLoss
from stgt.learning.readout import seen_share


class ExpressionModule(lightning.LightningModule):
    """Trains a model on windows; reads it out on clips.

    Args:
        model: any model of the registry.
        config: how to fit it.
        loss: what is minimised, of logits, targets and what else the model says in training.
        clip_counts: number of clips in each evaluation loader, in the order of the loaders.
        seed: of dropout and modality dropout; with the epoch and the step it fixes every random number, so that a
            training that was interrupted goes on exactly as it would have.
        peak: as for ``pool_clips``.
    """

    def __init__(
        self,
        model: nn.Module,
        config: OptimisationConfig,
        loss: TrainingLoss,
        clip_counts: tuple[int, ...],
        seed: int,
        peak: int | None = None,
    ) -> None:
        super().__init__()
        self.peak = peak
        self.model = model
        self.config = config
        self.clip_counts = clip_counts
        self.seed = seed
        self.loss = loss
        self._windows: list[list[tuple[Tensor, Tensor, Tensor]]] = []
        self._losses: list[Tensor] = []
        self._terms: dict[str, list[Tensor]] = {}
        self.train_loss = float("nan")
        #: Mean of each term of the loss over the epoch, without its weight; empty where there is one alone.
        self.train_terms: dict[str, float] = {}

    def forward(self, batch: WindowBatch) -> Tensor:
        """Logits (B,K)."""
        return self.model(**batch.inputs)

    def transfer_batch_to_device(self, batch: WindowBatch, device: torch.device, dataloader_idx: int) -> WindowBatch:
        """Lightning's hook: a batch knows how to move itself."""
        del dataloader_idx
        return batch.to(device)

    def on_train_epoch_start(self) -> None:
        """Begin the epoch's training loss."""
        self._losses = []
        self._terms = {}

    def training_step(self, batch: WindowBatch, batch_index: int) -> Tensor:
        """The loss of a batch of windows."""
        # Fixed at every step, because loaders draw from the same generator at other moments when a training goes on.
        step = [self.seed, self.current_epoch, batch_index, self.global_rank]
        torch.manual_seed(int(np.random.SeedSequence(step).generate_state(1)[0]))
        loss = self.training_loss(batch)
        self._losses.append(loss.detach())
        return loss

    def training_loss(self, batch: WindowBatch) -> Tensor:
        """What a step minimises; random numbers are fixed by then."""
        logits, extras = self.model.forward_training(**batch.inputs)
        terms = self.loss(logits, batch.target, extras)
        for name, value in terms.items() if len(terms) > 1 else ():
            self._terms.setdefault(name, []).append(value.detach())
        loss = self.loss.total(terms)
        return loss + untouched(extras) if processes() > 1 else loss

    def on_validation_epoch_start(self) -> None:
        """Empty the window collections, and close the epoch's training loss."""
        self._windows = [[] for _ in self.clip_counts]
        if self._losses:
            self.train_loss = _mean(self._losses)
        self.train_terms = {name: _mean(values) for name, values in self._terms.items()}

    def validation_step(self, batch: WindowBatch, batch_index: int, dataloader_idx: int = 0) -> None:
        """Probabilities of a batch of evaluation windows."""
        del batch_index
        probabilities = self(batch).float().softmax(dim=-1)
        share = seen_share(batch)
        self._windows[dataloader_idx].append((probabilities, share, batch.clip))

    def clip_probabilities(self) -> list[np.ndarray]:
        """(N,K) of every evaluation loader's clips, from the windows of the epoch that was just read.

        Every device reads all windows, so each of them chooses the same epoch.
        """
        return [
            pool_clips(*(torch.cat(column).cpu().numpy() for column in zip(*windows, strict=True)), count, self.peak)
            for windows, count in zip(self._windows, self.clip_counts, strict=True)
        ]

    def configure_optimizers(self) -> dict:
        """AdamW under a one-cycle schedule; no decay on biases, norms, learned positions and the centres of losses."""
        decayed = [p for p in self.model.parameters() if p.requires_grad and p.ndim >= 2]
        free = [p for p in self.model.parameters() if p.requires_grad and p.ndim < 2]
        groups = [{"params": decayed, "weight_decay": self.config.weight_decay}, {"params": free, "weight_decay": 0.0}]
        learned = [p for name, p in self.named_parameters() if not name.startswith("model.")]
        if learned:
            groups.append({"params": learned, "weight_decay": 0.0})
        optimizer = torch.optim.AdamW(groups, lr=self.config.learning_rate)
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimizer,
            max_lr=self.config.learning_rate,
            total_steps=max(2, int(self.trainer.estimated_stepping_batches)),
            pct_start=0.2,
        )
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


def _mean(values: list[Tensor]) -> float:
    """The mean of what the steps of an epoch came to, over all processes."""
    return float(summed(torch.stack(values).mean()) / processes())
