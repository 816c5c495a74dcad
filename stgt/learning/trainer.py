"""Lightning's trainer as a fit uses it: with our choice of the epoch, our state on disk, and nothing that talks."""

import logging
import warnings
from pathlib import Path

import lightning
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.loggers import TensorBoardLogger

from stgt.config import TrainConfig
from stgt.learning.choice import EpochChoice
from stgt.learning.state import SafetensorsState


def make_trainer(config: TrainConfig, choice: EpochChoice, logger: TensorBoardLogger, state: Path) -> lightning.Trainer:
    """Lightning's trainer with our choice of the epoch, our state on disk, and nothing that talks."""
    keep_state = ModelCheckpoint(
        dirpath=state.parent,
        filename=state.stem,
        every_n_epochs=1,
        save_on_train_epoch_end=True,
        enable_version_counter=False,
    )
    keep_state.FILE_EXTENSION = state.suffix
    return lightning.Trainer(
        max_epochs=config.optimisation.epochs,
        accelerator=config.accelerator,
        devices=config.devices if config.devices == "auto" else int(config.devices),
        num_nodes=config.nodes,
        precision=config.optimisation.precision,
        gradient_clip_val=config.optimisation.gradient_clip or None,
        callbacks=[choice, keep_state],
        plugins=[SafetensorsState()],
        logger=logger,
        num_sanity_val_steps=0,
        enable_progress_bar=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
        deterministic="warn",
        log_every_n_steps=10_000,
    )


class quiet_lightning(warnings.catch_warnings):  # noqa: N801 - used as a statement, like the class that it extends
    """Without Lightning's hints on hardware and loaders: a run of many folds would repeat them all."""

    def __enter__(self) -> None:
        """Silence."""
        super().__enter__()
        self.logger = logging.getLogger("lightning.pytorch")
        self.level = self.logger.level
        self.logger.setLevel(logging.ERROR)
        warnings.filterwarnings("ignore", module="lightning")
        warnings.filterwarnings("ignore", module="torch.utils.data")

    def __exit__(self, *exception: object) -> None:
        """Speak again."""
        self.logger.setLevel(self.level)
        super().__exit__(*exception)
