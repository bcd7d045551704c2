"""The table files of the repository against the papers, and the results made with them."""

import re
from pathlib import Path

import pytest
from commands import ROOT

from mwnet.config.schema import Config
from mwnet.methods import METHODS
from mwnet.methods.schedules import multistep
from mwnet.reproduce.tables.cells import Cell, plan
from mwnet.reproduce.tables.records import known, of_cell, records
from mwnet.reproduce.tables.report import archived
from mwnet.reproduce.tables.statistics import spread
from mwnet.reproduce.tables.table import Table, as_the_paper, load_table

TABLES = ROOT / "configs" / "tables"
CIFAR = ["cifar10", "cifar100"]

# Rows of Ghosh and Lan (2021): method, loss on the meta set, clean meta set.
MWNETS = {
    "MW-Net*": ("mwnet", "ce", True),
    "MNW-Net": ("mwnet", "ce", False),
    "RMNW-Net": ("mwnet", "mae", False),
}
QUOTED = {
    "L2RW*": "l2rw",
    "GLC*": "glc",
    "BaseModel": "erm",
    "Reed-Hard": "reed-hard",
    "S-Model": "s-model",
    "Self-paced": "self-paced",
    "Focal Loss": "focal",
    "Co-teaching": "co-teaching",
    "D2L": "d2l",
    "Fine-tuning": "fine-tuning",
    "MentorNet": "mentornet",
}
# Rows of Gao, Gouk and Hospedales (2021): method and loss.
LOSSES = {
    "CE": ("erm", "ce"),
    "GCE": ("erm", "gce"),
    "SCE": ("erm", "sce"),
    "FW": ("forward-correction", "ce"),
    "Bootstrap": ("erm", "bootstrap-soft"),
}
TAYLOR = ("erm", "taylor")
NETWORKS = [
    ("mnist", "mlp2"),
    ("mnist", "cnn4"),
    ("cifar10", "vgg11"),
    ("cifar100", "vgg11"),
    ("cifar10", "resnet18"),
    ("cifar100", "resnet18"),
]
RATES = [("symmetric", 0.2), ("symmetric", 0.5), ("symmetric", 0.8), ("pairflip", 0.4)]


@pytest.mark.parametrize("path", sorted(TABLES.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_table_of_the_repository_builds(path: Path, tmp_path: Path) -> None:
    table = load_table(path)
    assert table.command == f"mwnet table {path.relative_to(ROOT)}"
    protocols = [table]
    if table.paper is not None and table.paper.protocol is not None:
        protocols.append(as_the_paper(table))
    for one in protocols:
        cells = plan(one, tmp_path)
        assert len({cell.folder for cell in cells}) == len(cells)
        assert len(cells) == len(table.rows) * len(table.columns) * len(table.seeds)
    if path.stem == "digits_methods":
        assert {cell.method for cell in plan(table, tmp_path)} == {*METHODS, "clean-learning"} - {
            "cross-fit",
            "refurbish",
        }


def grid(name: str, paper: bool = False) -> tuple[Table, list[Cell]]:
    """A table and the cells of its first seed; columns stand in one order in all rows."""
    table = load_table(TABLES / f"{name}.yaml")
    table = as_the_paper(table) if paper else table
    cells = plan(table, Path("runs"))
    return table, [cell for cell in cells if cell.seed == table.seeds[0]]


def columns(cells: list[Cell], *options: str) -> list[tuple]:
    """The options that differ between columns, which no row may change."""
    found = {cell.column: tuple(getattr(cell.config, name) for name in options) for cell in cells}
    assert all(found[c.column] == tuple(getattr(c.config, name) for name in options) for c in cells)
    return list(found.values())


def rows(cells: list[Cell]) -> dict[str, Config]:
    return {cell.row: cell.config for cell in cells}


def has_schedule_of_section_4(config: Config) -> bool:
    """Ghosh and Lan, 2021; of WRN-28-10 the 40 epochs that their code has."""
    wide = config.noise != "flip2"
    model, epochs, drops = ("wrn-28-10", 40, [36, 38]) if wide else ("resnet32", 120, [40, 50])
    return (
        (config.model, config.epochs, config.lr_milestones) == (model, epochs, drops)
        and (config.lr, config.momentum, config.weight_decay) == (0.05, 0.9, 5e-4)
        and config.lr_schedule == "multistep"
        and (config.batch_size, config.augment, config.meta_size) == (100, "crop-flip", 1000)
    )


def is_mwnets(cells: list[Cell]) -> bool:
    """Whether the three rows of the paper's own methods are among these."""
    of = {row: config for row, config in rows(cells).items() if row in MWNETS}
    got = {row: (c.method, c.meta_loss, not c.meta_noisy) for row, c in of.items()}
    return got == MWNETS and all(c.meta_source == "held-out" for c in of.values())


UNIFORM = [("uniform", rate) for rate in (0.0, 0.4, 0.6)]
FLIP2 = [("flip2", rate) for rate in (0.0, 0.2, 0.4)]
FLIP = [("flip", rate) for rate in (0.0, 0.15, 0.3)]
WACV = {
    "wacv_table1": (14, [*UNIFORM, *FLIP2], 14 * 6 - 1, 3 * 4),
    "wacv_table2": (3, FLIP, 3 * 3, 3 * 2),
    "wacv_table3": (3, [*UNIFORM[1:], *FLIP2[1:], *FLIP[1:]], 0, 3 * 6),
}


@pytest.mark.parametrize("dataset", CIFAR)
@pytest.mark.parametrize("name", WACV)
def test_tables_of_ghosh_and_lan(name: str, dataset: str) -> None:
    table, cells = grid(f"{name}_{dataset}")
    count, noises, accuracies, aucs = WACV[name]
    assert table.seeds == (0, 1, 2, 3, 4)
    assert len(table.rows) == count
    assert columns(cells, "dataset", "noise", "noise_rate") == [(dataset, *of) for of in noises]
    assert all(has_schedule_of_section_4(cell.config) for cell in cells)
    assert is_mwnets(cells)
    assert table.paper is not None
    assert (table.paper.n, table.paper.n_assumed) == (5, False)
    assert (len(table.paper.accuracy), len(table.paper.auc)) == (accuracies, aucs)
    if name == "wacv_table1":
        assert set(table.rows) - set(MWNETS) == set(QUOTED)
        methods = {row: config.method for row, config in rows(cells).items() if row in QUOTED}
        assert methods == QUOTED
        missing = {(cell.row, cell.column) for cell in cells} - table.paper.accuracy.keys()
        assert missing == {("S-Model", "uniform 0.6")}


@pytest.mark.parametrize("dataset", CIFAR)
def test_the_papers_protocol_changes_the_quoted_rows_only(dataset: str) -> None:
    """60,000 steps at 0.1 with drops at 40,000 and 50,000; an epoch has 490 batches of 100."""
    _, cells = grid(f"wacv_table1_{dataset}", paper=True)
    assert is_mwnets(cells)
    for cell in cells:
        config = cell.config
        assert has_schedule_of_section_4(config) == (cell.row in MWNETS)
        if cell.row in QUOTED:
            assert config.method == QUOTED[cell.row]
            assert (config.lr, config.weight_decay) == (0.1, 2e-4)
            assert config.epochs * 490 == pytest.approx(60_000, abs=490)
            drops = [epoch * 490 for epoch in config.lr_milestones]
            assert drops == pytest.approx([40_000, 50_000], abs=490)


@pytest.mark.parametrize(
    ("name", "noise"),
    [("taylor_table1", ("symmetric", 0.8)), ("taylor_table2", ("pairflip", 0.4))],
)
def test_tables_1_and_2_of_gao_and_others(name: str, noise: tuple[str, float]) -> None:
    table, cells = grid(name)
    assert table.seeds == (0, 1, 2)
    got = {row: (config.method, config.loss) for row, config in rows(cells).items()}
    more = {"MAE": ("erm", "mae"), "Label-smooth": ("erm", "label-smoothing")}
    assert got == {**LOSSES, **more, "Taylor (AR)": TAYLOR}
    assert columns(cells, "dataset", "model") == NETWORKS
    for cell in cells:
        config = cell.config
        small = config.dataset == "mnist"
        assert (config.noise, config.noise_rate, config.meta_size) == (*noise, 0)
        assert (config.lr, config.epochs) == ((0.01, 100) if small else (0.05, 200))
        assert config.lr_schedule == ("constant" if small else "multistep")
        assert (config.optimizer, config.momentum, config.batch_size) == ("sgd", 0.9, 128)
        assert config.augment == ("none" if small else "crop-flip")
        assert small or (config.lr_milestones, config.lr_gamma) == ([60, 120, 160], 0.2)
    assert table.paper is not None
    assert table.paper.n_assumed
    assert table.paper.accuracy.keys() == {(cell.row, cell.column) for cell in cells}


@pytest.mark.parametrize(
    ("dataset", "found", "model", "optimizer", "lr", "epochs"),
    [
        ("mnist", ["mnist_sym80", "mnist_asym40"], "mlp2", "sgd", 0.01, 100),
        ("cifar100", [], "jocor-net", "adam", 0.001, 200),
    ],
)
def test_table_4_of_gao_and_others(
    dataset: str, found: list[str], model: str, optimizer: str, lr: float, epochs: int
) -> None:
    table, cells = grid(f"taylor_table4_{dataset}")
    assert table.seeds == (0, 1, 2)
    got = {row: (config.method, config.loss) for row, config in rows(cells).items()}
    own = {f"Taylor, {loss}": TAYLOR for loss in found}
    assert got == {**LOSSES, "JoCoR": ("jocor", "ce"), **own}
    assert columns(cells, "noise", "noise_rate") == RATES
    recipe = ("dataset", "model", "optimizer", "lr", "epochs", "batch_size", "meta_size")
    recipe = (*recipe, "lr_schedule", "weight_decay")
    values = (dataset, model, optimizer, lr, epochs, 128, 0, "constant", 0.0)
    assert set(columns(cells, *recipe)) == {values}
    for loss in found:
        theta = f"configs/losses/{loss}.yaml"
        assert rows(cells)[f"Taylor, {loss}"].loss_options == {"theta": theta}
        assert (ROOT / theta).is_file()
    assert table.paper is not None
    assert len(table.paper.accuracy) == 6 * 4 + len(found)


def test_table_3_of_gao_and_others() -> None:
    table, cells = grid("taylor_table3_clothing1m")
    got = {row: (config.method, config.loss) for row, config in rows(cells).items()}
    own = dict.fromkeys(["Taylor (AR-S80)", "Taylor, mnist_asym40"], TAYLOR)
    assert got == {**LOSSES, "JoCoR*": ("jocor", "ce"), **own}
    config = cells[0].config
    assert (config.dataset, config.model) == ("clothing1m", "torchvision:resnet18")
    assert (config.optimizer, config.epochs, config.batch_size) == ("adam", 15, 64)
    factor = multistep(config.lr_milestones, config.lr_gamma)
    rates = [config.lr * factor(epoch) for epoch in range(15)]
    assert rates == pytest.approx([8e-4] * 5 + [5e-4] * 10)
    assert table.paper is not None
    assert table.paper.accuracy["CE", "resnet18 clothing1m"] == (66.88,)


def test_the_results_are_what_their_cells_give() -> None:
    """Every table and picture of docs/RESULTS.md, from the cells kept beside it."""
    docs = ROOT / "docs"
    text = (docs / "RESULTS.md").read_text()
    parts = dict(re.findall(r"<!-- (\S+) -->\n(.*?)<!-- /\1 -->", text, re.DOTALL))
    assert text.count("<!--") == 2 * len(parts)
    around = re.sub(r"<!-- (\S+) -->\n.*?<!-- /\1 -->", "", text, flags=re.DOTALL)
    assert not re.search(r"^\||!\[", around, re.MULTILINE)  # none was put there by hand
    kept = {path.name: path for path in (docs / "tables").glob("*") if path.is_dir()}
    assert parts.keys() == kept.keys()
    for name, path in kept.items():
        assert archived(path) == parts[name]
        assert all((docs / of).is_file() for of in re.findall(r"!\[.*\]\((.*)\)", parts[name]))


def test_the_tables_of_the_guide_are_those_of_the_results() -> None:
    """Each number that the guide quotes is that of one report."""
    text = (ROOT / "docs/guide/choosing-a-method.md").read_text()
    lines = [line for line in text.splitlines() if " ± " in line and line.startswith("|")]
    folder = ROOT / "docs/tables/digits_methods"
    table = load_table(folder / "table.yaml")
    found = records(table, folder)
    assert len(lines) == 18
    for number, line in enumerate(lines):
        row, *cells = line.strip("| ").split(" | ")
        kind = {"scale": 100, "digits": 2} if number < 9 else {"digits": 4}
        field = "accuracy_last" if number < 9 else "auc_own_last"
        wanted = [
            spread(known(of_cell(found, row, column), field), **kind) for column in table.columns
        ]
        assert cells == wanted


def test_the_readme_is_two_screens_and_quotes_no_table() -> None:
    text = (ROOT / "README.md").read_text()
    assert len(text.splitlines()) <= 110
    assert " ± " not in text
