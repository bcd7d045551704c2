"""Texts embedded by a model of sentence-transformers: a tiny one, made here, that knows nothing."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from commands import run

import mwnet
from mwnet.core.errors import UserError
from mwnet.data.tables.text import TextFeatures
from mwnet.data.unlabelled import new_samples

try:
    import sentence_transformers
    import transformers
    from sentence_transformers import models
except Exception as error:  # the library imports much that may not fit together
    pytest.skip(f"sentence-transformers cannot be imported: {error}", allow_module_level=True)

WORDS = [
    "[PAD]",
    "[UNK]",
    "[CLS]",
    "[SEP]",
    "[MASK]",
    *["cat", "dog", "barks", "meows", "loud", "soft", "a", "the"],
]
TEXTS = [
    f"{'a' if i % 3 else 'the'} {'cat meows' if i % 2 else 'dog barks'} unknown{i}"
    for i in range(40)
]
WIDTH = 16


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    library: Any = transformers
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = library.BertModel(
            library.BertConfig(
                vocab_size=len(WORDS),
                hidden_size=WIDTH,
                num_hidden_layers=1,
                num_attention_heads=2,
                intermediate_size=WIDTH,
                max_position_embeddings=32,
            )
        )
    network.save_pretrained(folder / "bert")
    words = {word: place for place, word in enumerate(WORDS)}
    library.BertTokenizerFast(vocab=words).save_pretrained(folder / "bert")
    sentences: Any = sentence_transformers
    parts = [models.Transformer(str(folder / "bert")), models.Pooling(WIDTH)]
    sentences.SentenceTransformer(modules=parts, device="cpu").save(str(folder / "all"))
    return folder / "all"


def test_features_are_the_scaled_embeddings(model: Path) -> None:
    texts = np.array([*TEXTS, None], dtype=object)
    fitted = TextFeatures.fit(texts, f"sentence-transformers:{model}", alone=True)
    library: Any = sentence_transformers
    wanted = library.SentenceTransformer(str(model), device="cpu").encode([*TEXTS, ""])
    out = fitted.transform(texts)
    assert out.shape == (41, WIDTH)
    np.testing.assert_allclose(out, wanted * fitted.scale, rtol=1e-4, atol=1e-6)
    assert np.square(out).mean() == pytest.approx(1, rel=1e-3)


def test_a_run_predicts_new_texts(model: Path, tmp_path: Path) -> None:
    rows = [f"{text},{'xy'[place % 2]}" for place, text in enumerate(TEXTS)]
    path, out = tmp_path / "texts.csv", tmp_path / "run"
    path.write_text("\n".join(["text,label", *rows, ""]))
    features = f"sentence-transformers:{model}"
    run(out, "--data", str(path), "--features", features, "--epochs", "1", "--columns", "text")
    assert str(model) in json.dumps(json.loads((out / "model.json").read_text()))
    trained = mwnet.load(out).model
    _, samples, _ = new_samples(
        path, preparation=trained.preparation, extractor=None, image_size=None
    )
    found = trained.predict_proba(samples)
    assert found.shape == (40, 2)
    assert np.isfinite(found).all()
    x = trained.samples(samples)
    assert x.shape == (40, WIDTH, 1, 1)
    assert torch.allclose(x[0], x[6], atol=1e-5)  # the same words, as far as the model knows them
    assert (x[0] - x[1]).abs().max() > 1e-4


def test_a_model_that_is_not_there_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="there is no sentence-transformers model"):
        TextFeatures.fit(
            np.array(TEXTS, dtype=object), f"sentence-transformers:{tmp_path / 'no'}", alone=True
        )
