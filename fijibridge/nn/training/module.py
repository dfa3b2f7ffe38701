"""The training step as a Lightning module: loss of a batch, optimizer, schedule."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import lightning.pytorch as pl
import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import CosineAnnealingLR, LambdaLR, LRScheduler, OneCycleLR
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from fijibridge.nn.patches import Batch
from fijibridge.nn.training.settings_schema import Settings

LossFunction = Callable[[Tensor, Tensor, Tensor], Tensor]


class Step(pl.LightningModule):
    """One step of a training; with `ema`, also a moving average of the weights.

    Parameters
    ----------
    net
        Network to train.
    loss
        Function that maps (output, y, weight) to a scalar.
    settings
        Settings of the training.
    steps
        Total number of steps in all epochs, which is the length of the schedule.

    Attributes
    ----------
    net : torch.nn.Module
        The network.
    averaged : AveragedModel or None
        Moving average of the network.
    """

    def __init__(self, net: nn.Module, loss: LossFunction, settings: Settings, steps: int):
        super().__init__()
        self.net, self.loss, self.settings, self.steps = net, loss, settings, max(steps, 1)
        decay = settings.ema
        self.averaged = (
            None if decay is None
            else AveragedModel(net, multi_avg_fn=get_ema_multi_avg_fn(decay), use_buffers=True)  # type: ignore[no-untyped-call]
        )  # fmt: skip

    @property
    def judged(self) -> nn.Module:
        """Network that is validated and kept: the moving average if there is one, otherwise the trained network."""
        if self.averaged is None:
            return self.net
        judged: nn.Module = self.averaged.module
        return judged

    def training_step(self, batch: Batch, _: int) -> Tensor:
        """Return the loss of a batch."""
        return self.loss(self.net(batch[0]), batch[1], batch[2])

    def update_average(self) -> None:
        """Update the moving average with the current weights, after a step and before a checkpoint."""
        if self.averaged is not None:
            self.averaged.update_parameters(self.net)

    def validation_step(self, batch: Batch, _: int) -> None:
        """Log the loss of a validation batch."""
        loss = self.loss(self.judged(batch[0]), batch[1], batch[2])
        self.log("val_loss", loss, batch_size=len(batch[0]), sync_dist=True)

    def configure_optimizers(self) -> Any:
        """Return the optimizer and its schedule."""
        optimizer = torch.optim.AdamW(self.net.parameters(), lr=self.settings.lr, weight_decay=1e-4)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": self._schedule(optimizer), "interval": "step"}}

    def _schedule(self, optimizer: torch.optim.Optimizer) -> LRScheduler:
        if self.settings.schedule == "one-cycle":
            return OneCycleLR(optimizer, self.settings.lr, total_steps=self.steps)
        if self.settings.schedule == "cosine":
            return CosineAnnealingLR(optimizer, self.steps)
        return LambdaLR(optimizer, lambda _: 1.0)
