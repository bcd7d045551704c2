"""The options of a search for a loss."""

from mwnet.config.command import Command
from mwnet.config.placing import PlaceOptions
from mwnet.config.schema import DataOptions, NetworkOptions, OptimizerOptions
from mwnet.config.section import option


class SearchConfig(Command, PlaceOptions, DataOptions, NetworkOptions, OptimizerOptions):
    """Every option of a search for a loss."""

    search_tasks: str = option(
        "search",
        "own",
        "What a loss is scored on: own (--dataset with --model), ar (mlp2, mlp3 and cnn4 on "
        "mnist), dr (cnn4 on mnist, kmnist and cifar10), joint (all of both), or DATASET/MODEL "
        "with commas between.",
    )
    search_samples: int | None = option(
        "search", None, "Training samples in each training; default: all.", ge=1
    )
    search_order: int = option("search", 4, "Order of the polynomial: 2, 3 or 4.", ge=2, le=4)
    search_start: str = option(
        "search",
        "zero",
        "Where the search starts: zero, ce (the expansion of cross entropy), a file with theta, or "
        "twelve numbers with commas between.",
    )
    search_eta: float = option(
        "search", 1.0, "Range of the losses (eq. 5); acts like a learning rate.", gt=0, le=1e6
    )
    search_population: int = option("search", 32, "Losses in a generation.", ge=4, le=100_000)
    search_generations: int = option(
        "search", 20, "Generations in all.", ge=1, le=1_000_000, resumable=True
    )
    search_sigma: float = option(
        "search", 1.0, "Initial spread, in units of the polynomial's coefficients.", gt=0, le=1000
    )
    search_restarts: int = option(
        "search", 0, "Restarts at most, each with twice the population (IPOP).", ge=0, le=20
    )
    search_patience: int = option(
        "search",
        10,
        "Generations without a higher median before a restart.",
        ge=1,
    )
    search_score_epochs: int = option(
        "search", 1, "The score is the mean accuracy after each of the last epochs.", ge=1
    )
    search_final_seeds: int = option(
        "search", 3, "Fresh seeds on which the result is chosen and compared.", ge=1, le=10_000
    )
    search_compare: str = option(
        "search", "all", "Hand-made losses to compare with: all, none, or names with commas."
    )
    workers: int | None = option(
        "search",
        None,
        "Processes, one thread each; default: one for each core, on Ray what it has room for.",
        ge=1,
        le=1024,
        resumable=True,
    )
