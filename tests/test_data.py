"""Split, batches, augmentation and the data sets at hand."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mwnet.builders.experiment import build
from mwnet.config.flags import parse
from mwnet.data import Batches, Pixels, Source, split
from mwnet.data.batches import crop_flip
from mwnet.data.load import load
from mwnet.data.source import channels_first


def source(counts: list[int], test: int = 0, truth: bool = True) -> Source:
    labels = torch.cat([torch.full((count,), label) for label, count in enumerate(counts)])
    labels = labels[torch.randperm(len(labels), generator=torch.Generator().manual_seed(0))]
    n = len(labels)
    return Source(
        name="test",
        x=torch.arange(n * 4, dtype=torch.float32).reshape(n, 1, 2, 2),
        labels=labels,
        truth=labels if truth else None,
        classes=tuple(map(str, range(len(counts)))),
        test_ids=torch.arange(n - test, n) if test else None,
    )


DEFAULTS = {
    "meta_size": None,
    "clean_meta": False,
    "validation_size": 0,
    "test_fraction": 0.2,
    "seed": 0,
}


@settings(deadline=None, max_examples=40)
@given(
    seed=st.integers(0, 10_000),
    clean=st.booleans(),
    validation=st.integers(0, 50),
    test=st.sampled_from([0, 40]),
)
def test_parts_are_disjoint_and_complete(
    seed: int, clean: bool, validation: int, test: int
) -> None:
    data = source([100, 80, 120], test)
    changes = {"seed": seed, "clean_meta": clean, "validation_size": validation}
    parts = split(data, data.labels, **{**DEFAULTS, **changes})
    every = torch.cat([parts.train, parts.meta, parts.validation, parts.test])
    assert sorted(every.tolist()) == list(range(300))
    assert len(parts.validation) == validation
    assert len(parts.meta) == (300 - (test or 60)) // 10


def test_same_seed_same_split_and_global_generators_untouched() -> None:
    data = source([50, 50])
    torch_before, numpy_before = torch.get_rng_state(), np.random.get_state()[1]  # noqa: NPY002
    one, two = (split(data, data.labels, **DEFAULTS) for _ in range(2))
    assert all(
        torch.equal(a, b) for a, b in zip(vars(one).values(), vars(two).values(), strict=True)
    )
    assert torch.equal(torch_before, torch.get_rng_state())
    assert np.array_equal(numpy_before, np.random.get_state()[1])  # noqa: NPY002


@pytest.mark.parametrize("clean", [True, False])
def test_meta_set_is_balanced_over_the_right_labels(clean: bool) -> None:
    data = source([100, 100, 100])
    noisy = data.labels.roll(7)
    parts = split(data, noisy, **{**DEFAULTS, "meta_size": 30, "clean_meta": clean})
    labels = data.labels if clean else noisy
    assert torch.bincount(labels[parts.meta]).tolist() == [10, 10, 10]


def test_noisy_meta_set_does_not_look_at_the_truth() -> None:
    data = source([100, 100, 100])
    noisy = data.labels.roll(7)
    swapped = replace(data, truth=data.labels.roll(3))
    one, two = (split(d, noisy, **{**DEFAULTS, "meta_size": 30}) for d in (data, swapped))
    assert torch.equal(one.meta, two.meta)
    assert torch.equal(one.train, two.train)


def test_a_rare_class_gives_at_most_half_of_itself() -> None:
    data = source([200, 200, 6])
    parts = split(data, data.labels, **{**DEFAULTS, "meta_size": 30, "test_fraction": 0.01})
    assert torch.bincount(data.labels[parts.meta]).tolist() == [14, 13, 3]


@pytest.mark.parametrize(
    ("counts", "changes", "message"),
    [
        ([20, 20], {"meta_size": 40}, "too few"),
        ([50, 4], {"meta_size": 40}, "more than half"),
        ([20, 20], {"validation_size": 40}, "too few"),
        ([40, 0], {}, "label 1"),
        ([50, 50], {"train_size": 73}, "72 training samples .* asks for 73: lower it"),
        ([97, 3], {"train_size": 5}, "label 1"),
    ],
)
def test_impossible_splits_are_refused(counts: list[int], changes: dict, message: str) -> None:
    data = source(counts)
    with pytest.raises(ValueError, match=message):
        split(data, data.labels, **{**DEFAULTS, **changes})


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_fewer_training_samples_are_some_of_all_in_proportion_to_given_labels(seed: int) -> None:
    data = source([150, 150])
    noisy = (torch.arange(300) % 4 == 0).long()
    whole, one, two, all_left = (
        split(data, noisy, **{**DEFAULTS, "seed": seed, "validation_size": 30, **size})
        for size in ({}, {"train_size": 57}, {"train_size": 57}, {"train_size": 186})
    )
    assert len(one.train) == 57
    assert set(one.train.tolist()) < set(whole.train.tolist())
    share = 57 / len(whole.train) * torch.bincount(noisy[whole.train])
    assert (torch.bincount(noisy[one.train]) - share).abs().max() < 1
    for part in ("meta", "validation", "test"):
        assert torch.equal(getattr(one, part), getattr(whole, part))
    assert torch.equal(one.train, two.train)
    assert torch.equal(all_left.train, whole.train)


def test_training_samples_are_drawn_anew_for_every_seed() -> None:
    data = source([60, 60], test=40)
    few = {**DEFAULTS, "meta_size": 0, "train_size": 40}
    drawn = [split(data, data.labels, **{**few, "seed": seed}).train for seed in (0, 1)]
    assert not torch.equal(*drawn)


def test_train_size_is_what_a_run_trains_on() -> None:
    experiment = build(parse(["--train-size", "200", "--device", "cpu"])[0])
    assert len(experiment.data.parts.train) == 200
    batches = [experiment.train[step].index for step in range(len(experiment.train))]
    assert sorted(torch.cat(batches).tolist()) == experiment.data.parts.train.tolist()


def test_clean_meta_set_needs_the_truth() -> None:
    data = source([30, 30], truth=False)
    with pytest.raises(ValueError, match="needs true labels"):
        split(data, data.labels, **{**DEFAULTS, "clean_meta": True})


def batches(seed: int = 0, augment: str = "none", size: int = 4) -> Batches:
    data = source([10, 11])
    pixels = Pixels.of(data.x, torch.arange(15), torch.device("cpu"), augment)
    return Batches(pixels, data.labels, torch.arange(15), size, seed, "train")


def test_a_pass_visits_samples_once_in_an_order_of_its_own() -> None:
    stream = batches()
    assert len(stream) == 3
    passes = [torch.cat([stream[3 * p + k].index for k in range(3)]) for p in range(2)]
    assert all(len(set(ids.tolist())) == 12 for ids in passes)
    assert not torch.equal(*passes)


@pytest.mark.parametrize("augment", ["none", "crop", "crop-flip"])
def test_any_batch_is_a_pure_function_of_seed_and_step(augment: str) -> None:
    forward, backward = batches(1, augment), batches(1, augment)
    wanted = [forward[step] for step in range(9)]
    for step in reversed(range(9)):
        for name in ("index", "x", "y"):
            want = getattr(wanted[step], name)
            assert torch.equal(getattr(backward[step], name), want)
    assert not torch.equal(batches(2, augment)[0].index, wanted[0].index)


def test_two_views_are_two_augmentations_of_the_same_samples() -> None:
    data = source([10, 11])
    pixels = Pixels.of(data.x, torch.arange(15), torch.device("cpu"), "crop-flip")
    ids = torch.arange(15)
    twice = Batches(pixels, data.labels, ids, 4, 0, "train", two_views=True)
    once = Batches(pixels, data.labels, ids, 4, 0, "train")
    batch, again = twice[4], twice[4]
    assert batch.second is not None
    assert again.second is not None
    assert torch.equal(batch.x, once[4].x)  # the first view is that of a run without a second
    assert not torch.equal(batch.second, batch.x)
    assert torch.equal(batch.second, again.second)
    assert once[3].second is None


def test_batches_are_never_larger_than_the_data() -> None:
    assert len(batches(size=100)[0].index) == 15


def test_labels_belong_to_their_samples() -> None:
    data = source([10, 11])
    batch = batches()[5]
    assert torch.equal(batch.y, data.labels[batch.index])
    pixels = Pixels.of(data.x, torch.arange(15), torch.device("cpu"), "none")
    assert torch.equal(batch.x, pixels.take(batch.index))


def test_normalisation_is_that_of_the_training_samples() -> None:
    x = torch.randint(0, 256, (50, 3, 4, 4), dtype=torch.uint8)
    x[:, 2] = 7  # a constant channel
    pixels = Pixels.of(x, torch.arange(30), torch.device("cpu"), "none")
    train = pixels.take(torch.arange(30))
    torch.testing.assert_close(train.mean((0, 2, 3)), torch.zeros(3), atol=1e-5, rtol=0)
    torch.testing.assert_close(
        train.std((0, 2, 3), correction=0), torch.tensor([1.0, 1.0, 0.0]), atol=1e-5, rtol=0
    )


def test_crop_flip_equals_pad_crop_mirror() -> None:
    """Against the textbook way: reflect-pad by 4, take a window, mirror it."""
    x = torch.randint(0, 256, (64, 3, 32, 32), dtype=torch.uint8)
    out = crop_flip(x, torch.Generator().manual_seed(0), flip=True)
    padded = torch.nn.functional.pad(x.float(), (4, 4, 4, 4), mode="reflect").to(torch.uint8)
    seen = set()
    for image, source_image in zip(out, padded, strict=True):
        hits = [
            (row, column, mirrored)
            for row in range(9)
            for column in range(9)
            for mirrored in (False, True)
            if torch.equal(
                image.flip(-1) if mirrored else image,
                source_image[:, row : row + 32, column : column + 32],
            )
        ]
        assert len(hits) == 1
        seen.add(hits[0])
    assert {hit[2] for hit in seen} == {False, True}
    assert {hit[0] for hit in seen} == set(range(9)) == {hit[1] for hit in seen}


def test_the_papers_split_of_cifar() -> None:
    recipe = parse(["--dataset", "cifar10"])[0]
    data = source([6000] * 10, test=10_000)
    parts = split(
        data,
        data.labels,
        meta_size=recipe.meta_size,
        clean_meta=True,
        validation_size=recipe.validation_size,
        test_fraction=recipe.test_fraction,
        seed=0,
    )
    assert [len(ids) for ids in vars(parts).values()] == [49_000, 1_000, 0, 10_000]
    assert torch.bincount(data.labels[parts.meta]).tolist() == [100] * 10


def test_digits_hold_out_the_same_test_set_for_every_seed() -> None:
    data = load("digits")
    parts = [split(data, data.labels, **{**DEFAULTS, "seed": seed}) for seed in (0, 1)]
    assert torch.equal(parts[0].test, parts[1].test)
    assert not torch.equal(parts[0].train, parts[1].train)
    assert [len(ids) for ids in vars(parts[0]).values()] == [1294, 143, 0, 360]


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ((5, 7), (5, 7, 1, 1)),
        ((5, 8, 9), (5, 1, 8, 9)),
        ((5, 3, 8, 8), (5, 3, 8, 8)),
        ((5, 8, 8, 3), (5, 3, 8, 8)),
    ],
)
def test_channels_first(shape: tuple[int, ...], expected: tuple[int, ...]) -> None:
    assert channels_first(torch.zeros(shape)).shape == expected


def test_samples_of_other_dimensions_are_refused() -> None:
    with pytest.raises(ValueError, match="shape"):
        channels_first(torch.zeros(5))
