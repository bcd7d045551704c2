"""The options of a run: names, types, limits, defaults.

Defaults live here and nowhere else. A recipe (YAML) states what differs from them for one data set
or one published number; flags win last. It imports no torch, so that ``--help`` answers at once.

A run is built from three plain objects: ``DataOptions``, ``NetworkOptions``, ``TrainingOptions``. A
``Config`` has the fields of all three and those of the run, side by side, as recipes and flags do.
"""

from pathlib import Path
from typing import Any, Literal

from pydantic import Field, field_validator
from pydantic_settings import CliSuppress

from mwnet.config.command import Command
from mwnet.config.correcting import CorrectionOptions
from mwnet.config.placing import SeedsOptions
from mwnet.config.section import Section, option
from mwnet.config.unfreezing import UnfreezeOptions

USER_DATASETS = ("folder", "arrays", "table")
OPTION_FIELDS = ("method", "model", "loss", "meta_loss")  # `--model.width 8` is for the model
Options = dict[str, bool | int | float | str]


class DataOptions(CorrectionOptions):
    """Which samples, which labels, and how they are divided."""

    dataset: str = option(
        "data",
        "digits",
        "digits, mnist, fashion-mnist, kmnist, cifar10, cifar100, clothing1m; or folder, arrays, "
        "table: your own at --data, which finds out by itself.",
    )
    data: Path | None = option(
        "data",
        None,
        "Your own data: a table (CSV, parquet, feather, xlsx), a folder with a folder of photos a "
        "class, arrays (.npz, .npy).",
        resumable=True,
    )
    data_root: Path = option(
        "data", Path("data"), "Where torchvision's data sets, or Clothing1M, lie.", resumable=True
    )
    labels: Path | None = option(
        "data", None, "Labels of an .npy: an .npy, or text with one label a line.", resumable=True
    )
    label_column: str | None = option(
        "data", None, "Label column of a table; default: label, target, class or y."
    )
    columns: list[str] = option(
        "data", [], "Columns of a table that are features; default: those found by looking."
    )
    drop: list[str] = option("data", [], "Columns of a table that are no features.")
    features: str = option(
        "data",
        "auto",
        "auto; of images efficientnet-lite0 (auto of photos), also @96 for 96 pixels a side, or "
        "torchvision:NAME, timm:NAME, none; of texts tfidf, sentence-transformers:NAME; or .npy.",
    )
    image_size: int = option(
        "data", 32, "Pixels a side with --features none, and of Clothing1M.", ge=4, le=4096
    )
    skip_bad: bool = option("data", False, "Leave unreadable images out and count them.")
    test_fraction: float = option(
        "data", 0.2, "Share held out for testing where the data has no test part.", gt=0, lt=1
    )
    train_size: int | None = option(
        "data", None, "Train on this many samples, in proportion to classes; default: all.", ge=1
    )
    validation_size: int = option("data", 0, "Training samples kept for validation.", ge=0)
    augment: Literal["none", "crop", "crop-flip"] = option(
        "data", "none", "Random crop after reflecting the border, and horizontal flip."
    )

    noise: str = option(
        "noise",
        "none",
        "none, uniform, symmetric, flip, flip2, pairflip, asymmetric, superclass, block5, "
        "hierarchical, instance; pmd1, pmd2, pmd3 (predictions in --noise-file); or file "
        "(labels in --noise-file). See docs/NOISE.md.",
    )
    noise_rate: float = option("noise", 0.0, "Rate of the added label noise.", ge=0, le=1)
    noise_counts: Literal["sample", "exact", "exact-per-class"] = option(
        "noise", "sample", "Draw each sample on its own, or exactly the expected number of changes."
    )
    noise_file: str | None = option(
        "noise", None, "Given labels, or predictions for pmd: a.npy, a.npz:KEY or a.pt:KEY."
    )
    noise_seed: int | None = option("noise", None, "Seed of the noise; default: --seed.", ge=0)


class NetworkOptions(Section):
    """The classifier, and in which form it is computed."""

    model: str = option(
        "classifier",
        "mlp2",
        "mlp2, mlp3, tabm, cnn4, cnn9, jocor-net, jocor-repo, vgg11, resnet18, preact-resnet18, "
        "resnet32, wrn-28-10, wrn-16-4, torchvision:NAME, or auto: tabm for features, mlp2 for "
        "images; --model.depth, --model.width and the like change it.",
    )
    amp: Literal["off", "bf16"] = option(
        "speed", "off", "bf16: run the network in bfloat16 where that is safe."
    )
    channels_last: bool = option("speed", False, "Lay images out with the channels last.")
    compile: bool = option("speed", False, "Compile the passes that are differentiated once.")
    batch_norm: Literal["sync", "local"] = option(
        "speed", "sync", "Of several processes: statistics of the whole batch, or of each share."
    )

    model_options: CliSuppress[Options] = Field(default_factory=dict)

    @field_validator("amp", mode="before")
    @classmethod
    def _off_is_no_boolean(cls, value: Any) -> Any:
        return "off" if value is False else value  # what YAML reads in "amp: off"


class OptimizerOptions(Section):
    """How a network is moved: batches, optimizer, schedule."""

    epochs: int = option("run", 60, "Passes in each training of a network.", ge=1, le=1_000_000)
    batch_size: int = option("classifier", 100, "Training samples in a step.", ge=1)
    epoch_steps: int | None = option(
        "classifier",
        None,
        "Steps in an epoch at most: more samples make larger batches; default: any number.",
        ge=1,
    )
    optimizer: Literal["sgd", "adam", "adamw"] = option(
        "classifier", "sgd", "Optimizer of the classifier."
    )
    lr: float = option("classifier", 0.05, "Learning rate of the classifier.", gt=0)
    momentum: float = option("classifier", 0.9, "Momentum of sgd.", ge=0, lt=1)
    nesterov: bool = option("classifier", False, "Nesterov momentum for sgd.")
    weight_decay: float = option("classifier", 5e-4, "L2 penalty of the classifier.", ge=0)
    lr_schedule: Literal["constant", "cosine", "multistep"] = option(
        "classifier", "constant", "How the learning rate changes over the epochs."
    )
    lr_milestones: list[int] = option(
        "classifier", [], "Epochs after which multistep multiplies the learning rate by --lr-gamma."
    )
    lr_gamma: float = option(
        "classifier", 0.1, "What multistep multiplies the learning rate by.", gt=0, lt=1
    )
    cuda_graphs: bool = option(
        "speed", False, "Record the step once and replay it: for small networks on a GPU."
    )

    def batch_for(self, samples: int) -> int:
        """Return the samples in a step, for so many training samples."""
        most = self.epoch_steps
        return self.batch_size if most is None else max(self.batch_size, -(-samples // most))


class TrainingOptions(OptimizerOptions):
    """The method, its losses and its weighting."""

    method: str = option(
        "run",
        "mwnet",
        "Training method: erm (plain training), fine-tuning, reed-hard, reed-soft, s-model, "
        "self-paced, focal, co-teaching, d2l, mentornet, mentornet-dd, l2rw, glc, jocor, "
        "forward-correction, mwnet, cmw-net, elr, cross-fit, refurbish; --method.ramp and the like "
        "set its hyper-parameters (docs/METHODS.md).",
    )
    loss: str = option(
        "classifier",
        "ce",
        "Training loss: ce, focal, poly1, label-smoothing, bootstrap-soft, bootstrap-hard, "
        "forward, backward, mae, mse, imae, gce, truncated-gce, rce, sce, nce, nce+rce, "
        "nce+agce, agce, aul, ael, dmi, taylor, gjs, elr, peer, cores; --loss.alpha and the like "
        "set its hyper-parameters (docs/LOSSES.md).",
    )
    meta_loss: str = option(
        "weighting",
        "ce",
        "Loss on the meta set: any of --loss without a memory; ce, or mae, which is robust to "
        "noisy meta labels.",
    )
    meta_noisy: bool = option(
        "weighting", False, "Meta labels are the given, noisy ones; otherwise a clean set."
    )
    meta_source: Literal["held-out", "confident", "next-batch"] = option(
        "weighting", "held-out", "A set of its own, the most confident samples, or the next batch."
    )
    meta_size: int | None = option(
        "weighting", None, "Samples in the meta set; default 1000, or a tenth if fewer.", ge=0
    )
    meta_batch_size: int | None = option(
        "weighting", None, "Meta samples in a step; default: --batch-size.", ge=1
    )
    # The codes disagree on Adam or SGD here; the paper says SGD at 1e-3 with weight decay 5e-4, and
    # its code adds Nesterov momentum 0.9.
    weight_net_optimizer: Literal["sgd", "adam"] = option(
        "weighting", "sgd", "Optimizer of the weight net (sgd with Nesterov momentum 0.9)."
    )
    weight_net_lr: float = option(
        "weighting", 1e-3, "Learning rate of the weight net; 0 freezes it.", ge=0
    )
    weight_net_weight_decay: float = option(
        "weighting", 5e-4, "L2 penalty of the weight net.", ge=0
    )
    # The paper's formula for w-hat and w(t+1) has 1/n; its code divides by the sum of the weights.
    normalisation: Literal["mean", "sum"] = option(
        "weighting", "mean", "Divide the weights of a batch by its size or by their sum."
    )
    # Both papers' code takes a plain gradient step, without the momentum and weight decay that the
    # actual step has; so does the formula.
    virtual_step: Literal["sgd", "optimizer"] = option(
        "weighting", "sgd", "The look-ahead: a plain gradient step or the optimizer's own update."
    )
    inner_steps: int = option("weighting", 1, "Steps before the meta loss.", ge=1, le=1000)
    meta_interval: int = option(
        "weighting", 1, "Update the weight net every this many steps (the papers: 1).", ge=1
    )
    lag: bool = option("weighting", False, "The look-ahead, by the optimizer, is the step.")
    noise_rate_estimate: float | None = option(
        "noise", None, "The rate that methods work with; default: estimated.", ge=0, lt=1
    )
    noise_rate_known: bool = option(
        "noise", False, "Tell such methods the true rate; the summary says so."
    )
    engine: Literal["auto", "ghost", "forward", "higher"] = option(
        "speed",
        "auto",
        "How the meta-gradient is computed: ghost (fastest, no batch statistics), forward (one "
        "look-ahead step), higher (any), or auto: the first that a probe finds equal to higher.",
    )
    lean: bool = option("speed", False, "Recompute a forward pass: less memory, slower.")

    method_options: CliSuppress[Options] = Field(default_factory=dict)
    loss_options: CliSuppress[Options] = Field(default_factory=dict)
    meta_loss_options: CliSuppress[Options] = Field(default_factory=dict)


class Config(Command, SeedsOptions, DataOptions, NetworkOptions, TrainingOptions, UnfreezeOptions):
    """Every option of a training run."""

    max_steps: int | None = option(
        "run", None, "Stop after this many steps in all.", ge=1, resumable=True
    )
    eval_every: int = option(
        "output", 1, "Epochs between measurements on training and test samples.", ge=1
    )
    checkpoint_every: int = option("output", 1, "Epochs between checkpoints.", ge=1, resumable=True)
    log_every: int | None = option(
        "output",
        None,
        "Steps between reports within an epoch; default: none.",
        ge=1,
        resumable=True,
    )
    tensorboard: bool = option("output", True, "Write TensorBoard events.", resumable=True)

    def of_each_seed(self, folder: Path) -> list["Config"]:
        """The options of ordinary runs, one for each of ``seeds``, in folders of their own."""
        alone = {"seeds": 1, "jobs": None, "ray": None}
        return [
            self.model_copy(update={**alone, "seed": seed, "out": folder / f"seed-{seed}"})
            for seed in range(self.seed, self.seed + self.seeds)
        ]

    @property
    def data_options(self) -> DataOptions:
        """The samples and their labels."""
        return self.part(DataOptions)

    @property
    def network_options(self) -> NetworkOptions:
        """The classifier."""
        return self.part(NetworkOptions)

    @property
    def training_options(self) -> TrainingOptions:
        """The method and what it is trained with."""
        return self.part(TrainingOptions)
