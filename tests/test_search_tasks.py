"""What a loss is scored on: noisy labels for training, true ones for measuring."""

import pytest
import torch
from searches import CONSTANT, HUGE, THETA

from mwnet.config.checks import validate_search
from mwnet.core.errors import UserError
from mwnet.losses.loss_file import TaylorLoss
from mwnet.losses.taylor import CROSS_ENTROPY
from mwnet.search.tasks import HAND_MADE, Job, Score, Task, task_configs


def task(**changes: object) -> Task:
    values = {
        "mode": "loss-search", "dataset": "digits", "model": "mlp2", "model_options": {"width": 8},
        "noise": "symmetric", "noise_rate": 0.6, "epochs": 3, "search_samples": 200,
        "validation_size": 300, "device": "cpu", "threads": 1,
    }  # fmt: skip
    return Task(validate_search({**values, **changes}))


def job(*losses: TaylorLoss | str, epochs: int = 2) -> Job:
    return Job(0, 7, losses, epochs, (epochs,), ("validation", "test"))


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_degenerate_losses_are_not_trained_and_disturb_no_other() -> None:
    one = task()
    good = [TaylorLoss(CROSS_ENTROPY, 1.0), "ce", TaylorLoss(THETA, 2.0)]
    bad = [TaylorLoss(theta, 1.0) for theta in (*CONSTANT, *HUGE)]
    scores = one.run(job(bad[0], good[0], *bad[1:], good[1], good[2]))
    assert [score.status for score in scores] == [
        "degenerate",
        "ok",
        *["degenerate"] * 5,
        "ok",
        "ok",
    ]
    assert all(score.accuracy == {} for score in scores if score.status == "degenerate")
    assert [score for score in scores if score.status == "ok"] == one.run(job(*good))
    assert one.run(job(*bad)) == [Score({}, "degenerate")] * len(bad)


def test_a_training_that_diverges_is_told_from_the_others() -> None:
    one = task(lr=1e3, weight_decay=1.0, momentum=0.0, epochs=40)
    fine = task(lr=1e-3)
    losses = [TaylorLoss(CROSS_ENTROPY, 1.0), TaylorLoss(THETA, 1.0)]
    assert [score.status for score in one.run(job(*losses, epochs=40))] == ["diverged"] * 2
    assert [score.status for score in fine.run(job(*losses))] == ["ok"] * 2


def test_scores_do_not_depend_on_which_losses_share_a_job() -> None:
    one = task()
    losses = [TaylorLoss(CROSS_ENTROPY, 1.0), TaylorLoss(THETA, 2.0), TaylorLoss(THETA, 0.1)]
    together = one.run(job(*losses, epochs=3))
    assert together == [one.run(job(loss, epochs=3))[0] for loss in losses]
    assert len({str(score) for score in together}) == 3
    for score in together:
        for values, size in ((score.accuracy["validation"], 300), (score.accuracy["test"], 360)):
            assert [round(value * size, 6) % 1 for value in values] == [0.0]


def test_accuracies_are_measured_after_each_epoch_that_was_asked_for() -> None:
    one, loss = task(), TaylorLoss(CROSS_ENTROPY, 5.0)
    whole = one.run(Job(0, 7, (loss,), 3, (1, 2, 3)))[0].accuracy
    assert list(whole) == ["validation"]
    assert len(whole["validation"]) == 3
    assert (
        one.run(Job(0, 7, (loss,), 3, (2,)))[0].accuracy["validation"] == whole["validation"][1:2]
    )


def test_training_sees_the_noisy_labels_and_measuring_the_true_ones(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from mwnet.search import tasks

    one = task(search_samples=None)
    truth = one.data.source.labels
    for seed in (3, 4):
        train = one.batches(seed)
        assert not set(train.ids.tolist()) & {
            *one.data.parts.validation.tolist(),
            *one.data.parts.test.tolist(),
        }
        wrong = (train.labels[train.ids] != truth[train.ids]).double().mean()
        assert float(wrong) == pytest.approx(0.6, abs=0.05)
        batch = train[0]
        assert torch.equal(batch.y, train.labels[batch.index])
    assert not torch.equal(one.batches(3).labels, one.batches(4).labels)

    used, states = {}, []
    original = tasks.accuracy

    def spied(group: object, pixels: object, ids: torch.Tensor, labels: torch.Tensor) -> object:
        used[len(ids)] = ids, labels
        states.append(group.stack.state(0))  # pyright: ignore[reportAttributeAccessIssue]
        return original(group, pixels, ids, labels)  # pyright: ignore[reportArgumentType]

    monkeypatch.setattr(tasks, "accuracy", spied)
    want = one.run(job(TaylorLoss(CROSS_ENTROPY, 5.0)))
    for part in (one.data.parts.validation, one.data.parts.test):
        ids, labels = used[len(part)]
        assert torch.equal(ids, part)
        assert torch.equal(labels, truth[part])
    # Another truth is measured otherwise, and trains the very same network.
    one.truth = one.truth.roll(3)
    assert one.run(job(TaylorLoss(CROSS_ENTROPY, 5.0))) != want
    half = len(states) // 2
    torch.testing.assert_close(states[:half], states[half:], rtol=0, atol=0)


def test_a_subset_is_drawn_anew_for_each_seed() -> None:
    one = task()
    first, again, other = one.batches(1), one.batches(1), one.batches(2)
    assert len(first.ids) == len(first.ids.unique()) == 200
    assert torch.equal(first.ids, again.ids)
    assert not torch.equal(first.ids, other.ids)
    assert set(first.ids.tolist()) <= set(one.data.parts.train.tolist())
    assert not torch.equal(one.network(1)[1].weight, one.network(2)[1].weight)  # pyright: ignore


def test_named_tasks_are_data_sets_with_models() -> None:
    config = validate_search(
        {"mode": "loss-search", "model_options": {"width": 8}, "search_tasks": "own"}
    )
    assert task_configs(config) == [config]
    listed = {"ar": 3, "dr": 3, "joint": 9, "digits/mlp2, digits/mlp3": 2}
    for name, count in listed.items():
        configs = task_configs(config.model_copy(update={"search_tasks": name}))
        assert len({(entry.dataset, entry.model) for entry in configs}) == count
        assert all(bool(entry.model_options) == (entry.model == "mlp2") for entry in configs)
    for name in ("arr", "digits", "digits/", "/mlp2", "digits/mlp2,,digits/mlp3", ""):
        with pytest.raises(UserError, match="search_tasks"):
            task_configs(config.model_copy(update={"search_tasks": name}))


@pytest.mark.parametrize("name", HAND_MADE)
def test_every_hand_made_loss_can_be_trained_with(name: str) -> None:
    (score,) = task(epochs=1).run(job(name, epochs=1))
    assert score.status == "ok"
    assert "taylor" not in HAND_MADE
