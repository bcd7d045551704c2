"""Options that say where many trainings run."""

from mwnet.config.section import Section, option
from mwnet.core.scheduling import Place, address_of


class PlaceOptions(Section):
    """Whether many trainings run on Ray, and what each of them needs there."""

    ray: str | None = option(
        "run",
        None,
        "Run on Ray: the cluster at HOST:PORT or auto, or a Ray that is started here where no "
        "address follows; none: processes (docs/DISTRIBUTED.md).",
        resumable=True,
    )
    task_cpus: float = option(
        "run", 1.0, "CPUs that Ray reserves for each training or job.", gt=0, resumable=True
    )
    task_gpus: float = option(
        "run", 0.0, "GPUs that Ray reserves for each, as in 0.25.", ge=0, resumable=True
    )

    def place(self, processes: int | None, otherwise: int) -> Place:
        """Return where the trainings run.

        Args:
            processes: how many at a time; None: nobody says.
            otherwise: how many then, where it is not Ray that decides.
        """
        ray = address_of(self.ray)
        if processes is None and ray is None:
            processes = otherwise
        return Place(processes, ray, self.task_cpus, self.task_gpus)


class SeedsOptions(PlaceOptions):
    """With how many seeds a run is done."""

    seeds: int = option(
        "run",
        1,
        "Train with this many seeds, from --seed on. Plain training of small networks takes one "
        "pass; else each seed is a run of its own.",
        ge=1,
        le=10_000,
    )
    jobs: int | None = option(
        "run",
        None,
        "Processes for the runs of --seeds; default: one for two cores, 1 on a GPU, on Ray what it "
        "has room for.",
        ge=1,
        le=1024,
        resumable=True,
    )
