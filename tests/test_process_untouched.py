"""Library code leaves the process alone: only commands and runs set what all of it shares."""

import json
import os
import subprocess
import sys
from pathlib import Path

from commands import ROOT

BEFORE = """
import json, logging, os, random, signal, sys, threading, warnings

# What other packages do to the process when they are imported is not ours to answer for.
import cmaes, higher, matplotlib, numpy, onnx, pandas, pydantic, pydantic_settings, scipy.stats
import safetensors.torch, tqdm, torch, yaml
import matplotlib.pyplot, PIL.Image, sklearn.base, sklearn.cluster, sklearn.datasets
import sklearn.linear_model, sklearn.metrics, torch.func, torch.utils.tensorboard
import torch._inductor.config

torch.set_num_threads(1)
logging.getLogger("mwnet").addHandler(logging.NullHandler())  # what it logs may be listened to


def handlers():
    found = {}
    for number in signal.valid_signals():
        try:
            found[number.__index__()] = repr(signal.getsignal(number))
        except ValueError:
            pass
    return found


def state():
    root, own = logging.getLogger(), logging.getLogger("mwnet")
    umask = os.umask(0)
    os.umask(umask)
    return {
        "torch's generator": torch.get_rng_state().tolist(),
        "numpy's generator": repr(numpy.random.get_state()[1].tolist())
        + repr(numpy.random.get_state()[2:]),
        "random's generator": repr(random.getstate()),
        "threads": [torch.get_num_threads(), torch.get_num_interop_threads()],
        "running threads": [each.name for each in threading.enumerate()],
        "torch's default type": repr(torch.get_default_dtype()),
        "torch's default device": repr(torch.get_default_device()),
        "gradients": [torch.is_grad_enabled(), torch.is_inference_mode_enabled()],
        "determinism": [
            torch.are_deterministic_algorithms_enabled(),
            torch.backends.cudnn.deterministic,
            torch.backends.cudnn.benchmark,
            torch.backends.cuda.matmul.allow_tf32,
            torch.get_float32_matmul_precision(),
        ],
        "inductor": [torch._inductor.config.fallback_random],
        "autocast": [torch.is_autocast_enabled("cpu"), torch.is_autocast_cache_enabled()],
        "anomaly detection": torch.is_anomaly_enabled(),
        "higher's optimizers": sorted(map(repr, higher.optim._opt_mapping.items())),
        "signal handlers": handlers(),
        "hooks": [repr(sys.excepthook), repr(threading.excepthook), repr(sys.displayhook)],
        "logging": [
            root.level, repr(root.handlers), own.level, repr(own.handlers), own.propagate,
            logging.root.manager.disable,
        ],
        "warnings": repr(warnings.filters) + repr(warnings.showwarning),
        "environment": dict(os.environ),
        "streams": [repr(sys.stdout), repr(sys.stderr), repr(sys.stdin)],
        "folder": [os.getcwd(), umask, sorted(os.listdir())],
        "numpy's errors": repr(numpy.geterr()) + repr(numpy.get_printoptions()),
        "matplotlib": [matplotlib.get_backend(), repr(dict(matplotlib.rcParams))],
        "sys.path": list(sys.path),
    }


before = state()
"""

USE = """
import importlib, pkgutil

import mwnet

for module in pkgutil.walk_packages(mwnet.__path__, "mwnet."):
    if not module.name.endswith("__main__"):
        importlib.import_module(module.name)
assert len([name for name in sys.modules if name.startswith("mwnet.")]) > 120

from mwnet import noise
from mwnet.builders.experiment import build
from mwnet.builders.optimizer import optimizer, scheduler
from mwnet.config.checks import validate
from mwnet.data import Batches, Pixels
from mwnet.losses import LOSSES
from mwnet.methods import METHODS
from mwnet.training.loop import steps
from mwnet.training.population import EachLoss, Group

# Noise and losses.
rng = torch.Generator().manual_seed(0)
labels = torch.randint(0, 4, (40,), generator=rng)
assert len(noise.NOISES) > 3
matrix = noise.NOISES["symmetric"](4, 0.3, rng)
given = noise.corrupt(labels, matrix, rng)
noise.instance(torch.randn(40, 5, generator=rng), labels, 0.3, rng, 4)
logits = torch.randn(40, 4, generator=rng)
for name, loss in LOSSES.items():
    if name not in ("forward", "backward", "elr", "gjs", "peer", "cores"):
        loss(logits, labels)

# Every method, through all of its phases, and its scores.
for name, entry in METHODS.items():
    values = dict(
        dataset="digits", method=name, model="mlp2", model_options={"width": 8}, device="cpu",
        noise="uniform", noise_rate=0.4, epochs=2, batch_size=300, meta_noisy=entry.meta == "any",
    )
    for more in [{}] + [{"meta_source": "confident", "meta_noisy": False}] * (entry.meta == "any"):
        experiment = build(validate({**values, **more}))
        total = experiment.method.epochs * len(experiment.train)
        for _ in steps(experiment.method.train(), experiment.train, experiment.meta, stop=total):
            pass
        scored = experiment.score(experiment.data.parts.train)
        experiment.metrics(scored)
        experiment.identity()

# What an ordinary step leaves to the network, and other ways to compute it.
for more in (
    {"engine": "higher", "virtual_step": "optimizer"},
    {"engine": "higher", "virtual_step": "optimizer", "optimizer": "adamw"},
    {"engine": "forward", "lean": True, "inner_steps": 1},
    {"inner_steps": 2, "engine": "higher"},
    {"amp": "bf16", "augment": "crop", "model": "resnet32", "channels_last": True},
    {"model": "resnet32", "model_options": {"depth": 8, "width": 2}, "lr_schedule": "cosine"},
):
    values = dict(
        dataset="digits", model="mlp2", device="cpu", noise="uniform", noise_rate=0.4, epochs=1,
        batch_size=50, meta_noisy=True, meta_loss="mae", meta_batch_size=50,
    )
    experiment = build(validate({**values, **more}))
    for _ in steps(experiment.method.train(), experiment.train, experiment.meta, stop=2):
        pass

# A step in a loop of one's own.
for engine in ("auto", "higher"):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = torch.nn.Sequential(torch.nn.Linear(5, 8), torch.nn.Tanh(), torch.nn.Linear(8, 4))
    step = mwnet.BilevelStep(
        network, torch.optim.AdamW(network.parameters()), virtual_step="optimizer", engine=engine
    )
    x = torch.randn(40, 5, generator=rng)
    for _ in range(3):
        step(x, given, x[:10], labels[:10])
    step.load_state_dict(step.state_dict())

# Many networks at once.
pixels = Pixels.of(x[:, :, None, None], torch.arange(40), torch.device("cpu"))
train = Batches(pixels, given, torch.arange(40), 10, 0, "train")
with torch.random.fork_rng():
    torch.manual_seed(0)
    members = [
        torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(5, 4)) for _ in range(3)
    ]
options = validate({"dataset": "digits", "epochs": 2, "noise": "none"})
group = Group(
    members, "mapped", EachLoss([LOSSES["ce"]] * 3), lambda each: optimizer(options, each),
    lambda of: scheduler(options, of, len(train), 2),
)
for _ in steps(group, train, stop=8):
    pass
"""

COMPILED = """
from mwnet.builders.experiment import build
from mwnet.config.checks import validate
from mwnet.training.loop import steps

values = dict(
    dataset="digits", model="mlp2", device="cpu", noise="uniform", noise_rate=0.4, epochs=1,
    batch_size=20, model_options={"width": 4}, meta_noisy=True, meta_loss="mae", compile=True,
)
experiment = build(validate(values))
for _ in steps(experiment.method.train(), experiment.train, experiment.meta, stop=2):
    pass
"""

AFTER = """
after = state()
changed = [name for name in before if before[name] != after[name]]
with open(sys.argv[1], "w") as file:
    json.dump(changed, file)
"""


def changes(tmp_path: Path, use: str) -> list[str]:
    """What of the process is not as it was; nothing may have been printed."""
    folder, report = tmp_path / "empty", tmp_path / "report.json"
    folder.mkdir()
    program = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", BEFORE + use + AFTER]
    result = subprocess.run(
        [*program, str(report)],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr[-3000:]
    assert result.stdout == ""
    assert result.stderr == ""
    return json.loads(report.read_text())


def test_all_of_the_library_leaves_the_process_as_it_is(tmp_path: Path) -> None:
    assert changes(tmp_path, USE) == []


def test_so_does_compiling_a_network(tmp_path: Path) -> None:
    """Torch's compiler starts threads and finds its caches; the rest stays."""
    of_torch = {"running threads", "environment", "sys.path"}
    assert set(changes(tmp_path, COMPILED)) - of_torch == set()


def test_the_guard_sees_what_is_touched(tmp_path: Path) -> None:
    touching = """
torch.manual_seed(1), numpy.random.seed(1), random.seed(1), torch.set_num_threads(2)
higher.register_optim(torch.optim.AdamW, higher.optim.DifferentiableAdam)
signal.signal(signal.SIGTERM, signal.SIG_IGN)
logging.basicConfig(), warnings.simplefilter("ignore"), os.environ.update(MWNET="1")
torch._inductor.config.fallback_random = True
matplotlib.rcParams["lines.linewidth"] = 9
open("left behind", "w").close()
torch.backends.cudnn.deterministic = True
sys.path.append("x")
"""
    assert set(changes(tmp_path, touching)) == {
        "torch's generator", "numpy's generator", "random's generator", "threads", "determinism",
        "higher's optimizers", "signal handlers", "logging", "warnings", "environment", "folder",
        "inductor", "matplotlib", "sys.path",
    }  # fmt: skip
