"""A classifier around a network of one's own."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from estimators import small
from torch import nn

import mwnet


def perceptron(num_classes: int, in_channels: int, image_size: Any) -> nn.Module:
    return nn.Sequential(
        nn.Flatten(), nn.Linear(in_channels, 16), nn.Tanh(), nn.Linear(16, num_classes)
    )


def test_a_network_of_ones_own(noisy: tuple, tmp_path: Path) -> None:
    x, given, _ = noisy
    fitted = small(model=perceptron, model_options=None).fit(x, given)
    assert isinstance(fitted.network_[2], nn.Tanh)
    fitted.save(tmp_path / "own")
    with pytest.raises(ValueError, match=r"model=BUILD"):
        mwnet.load(tmp_path / "own")
    again = mwnet.load(tmp_path / "own", model=perceptron)
    np.testing.assert_array_equal(again.predict_proba(x), fitted.predict_proba(x))


def nothing(**sizes: Any) -> None:
    return None


def five_logits(num_classes: int, in_channels: int, image_size: Any) -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(in_channels, 5))


def wide(num_classes: int, in_channels: int, image_size: Any, width: int = 5) -> nn.Module:
    return nn.Sequential(
        nn.Flatten(), nn.Linear(in_channels, width), nn.Tanh(), nn.Linear(width, num_classes)
    )


def test_a_network_of_ones_own_is_checked(noisy: tuple, tmp_path: Path) -> None:
    x, given, _ = noisy
    with pytest.raises(ValueError, match=r"must build a torch\.nn\.Module"):
        mwnet.MWNetClassifier(model=nothing).fit(x, given)
    with pytest.raises(ValueError, match=r"logits of shape \(2, 10\), got \(2, 5\)"):
        mwnet.MWNetClassifier(model=five_logits).fit(x, given)
    fitted = small(model=wide, model_options={"width": 3}).fit(x, given)
    assert fitted.network_[1].out_features == 3
    fitted.save(tmp_path / "wide")
    again = mwnet.load(tmp_path / "wide", model=wide)
    np.testing.assert_array_equal(again.predict_proba(x), fitted.predict_proba(x))
