"""Build the optimizer that the options name, and the schedule of its learning rate."""

from typing import Any

import torch
from torch import nn
from torch.optim import SGD, Adam, AdamW, Optimizer
from torch.optim.lr_scheduler import LambdaLR

from mwnet.config.schema import OptimizerOptions
from mwnet.methods import schedules


def optimizer(options: OptimizerOptions, network: nn.Module) -> Optimizer:
    """Build the classifier's optimizer."""
    rate: float | torch.Tensor = options.lr
    recorded: dict[str, Any] = {}
    if options.cuda_graphs:  # a replay repeats numbers; what changes must be a tensor
        rate = torch.tensor(rate, device=next(network.parameters()).device)
        recorded = {"fused": True}
    if options.optimizer == "sgd":
        return SGD(
            network.parameters(),
            lr=rate,
            momentum=options.momentum,
            nesterov=options.nesterov,
            weight_decay=options.weight_decay,
            **recorded,
        )
    kind = {"adam": Adam, "adamw": AdamW}[options.optimizer]
    recorded["capturable"] = options.cuda_graphs
    return kind(network.parameters(), lr=rate, weight_decay=options.weight_decay, **recorded)


def scheduler(
    options: OptimizerOptions, of: Optimizer, steps_per_epoch: int, epochs: float
) -> LambdaLR:
    """Build the schedule of an optimizer's learning rate, to be advanced every step.

    A training of another length than ``options.epochs`` goes through the same schedule faster.
    """
    factor = schedules.constant()
    if options.lr_schedule == "cosine":
        factor = schedules.cosine(options.epochs)
    elif options.lr_schedule == "multistep":
        factor = schedules.multistep(options.lr_milestones, options.lr_gamma)
    pace = options.epochs / epochs
    return LambdaLR(of, lambda step: factor(pace * step / steps_per_epoch))
