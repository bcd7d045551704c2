"""Turn texts into features: TF-IDF and its strongest directions, or a sentence embedding."""

import importlib.util
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mwnet.core.errors import UserError, first_line

PREFIX = "sentence-transformers:"
MOST_TERMS = 20_000
DIRECTIONS_ALONE, DIRECTIONS_BESIDE = 512, 32
"""Features of a text that is the only column, and of one that stands beside others."""


@dataclass(frozen=True)
class TextFeatures:
    """Features of a column of texts.

    Attributes:
        model: name of a sentence-transformers model, or empty for TF-IDF.
        terms: of TF-IDF, words and pairs of words.
        idf: ``(terms,)`` inverse document frequencies.
        directions: ``(width, terms)`` the strongest directions of the training texts (latent
            semantic analysis).
        scale: what the features are multiplied with, so that their mean square is 1.
        width: features that come out.
    """

    model: str
    terms: tuple[str, ...]
    idf: np.ndarray
    directions: np.ndarray
    scale: float
    width: int

    @staticmethod
    def fit(texts: np.ndarray, embedding: str, *, alone: bool) -> "TextFeatures":
        """Fit on ``(n,)`` texts, of which some may be None.

        Args:
            texts: of the training samples.
            embedding: ``tfidf``, or ``sentence-transformers:NAME`` of a model on this machine.
            alone: whether there is no other column.

        Raises:
            UserError: no words in the texts, no such model.
        """
        from sklearn.decomposition import TruncatedSVD

        nothing = np.zeros(0, dtype=np.float32)
        if embedding.startswith(PREFIX):
            name = embedding.removeprefix(PREFIX)
            found = _sentences(name, _filled(texts)[:1000])
            return TextFeatures(name, (), nothing, nothing, _scale(found), found.shape[1])
        vectoriser = _vectoriser(min_df=2 if len(texts) > 50 else 1, max_features=MOST_TERMS)
        try:
            counts: Any = vectoriser.fit_transform(_filled(texts))
        except ValueError:
            raise UserError("the texts hold no words that two of them share") from None
        terms = vectoriser.get_feature_names_out()
        most = DIRECTIONS_ALONE if alone else DIRECTIONS_BESIDE
        width = max(1, min(most, len(terms) - 1, len(texts) - 1))
        if len(terms) == 1:  # which has one direction
            directions = np.ones((1, 1), dtype=np.float32)
        else:
            with np.errstate(invalid="ignore"):  # of texts without any variance
                svd: Any = TruncatedSVD(width, random_state=0).fit(counts)
            directions = np.ascontiguousarray(svd.components_, dtype=np.float32)
        idf = np.asarray(vectoriser.idf_, dtype=np.float32)
        scale = _scale(np.asarray(counts @ directions.T))
        return TextFeatures("", tuple(terms.tolist()), idf, directions, scale, width)

    def transform(self, texts: np.ndarray) -> np.ndarray:
        """``(n,)`` texts -> ``(n, width)`` float32 features."""
        filled = _filled(texts)
        if self.model:
            return _sentences(self.model, filled) * np.float32(self.scale)
        vectoriser = _vectoriser(vocabulary=list(self.terms))
        vectoriser.idf_ = self.idf
        counts: Any = vectoriser.transform(filled)
        return np.asarray(counts.astype(np.float32) @ self.directions.T) * np.float32(self.scale)

    def described(self) -> dict[str, Any]:
        """Return the plain values, without arrays."""
        return {
            "model": self.model,
            "terms": list(self.terms),
            "scale": self.scale,
            "width": self.width,
        }

    def tensors(self) -> dict[str, Tensor]:
        """Return the arrays by name."""
        return {"idf": torch.from_numpy(self.idf), "directions": torch.from_numpy(self.directions)}

    @staticmethod
    def restored(described: dict[str, Any], tensors: dict[str, Tensor]) -> "TextFeatures":
        """Undo ``described`` and ``tensors``."""
        return TextFeatures(
            described["model"],
            tuple(described["terms"]),
            tensors["idf"].numpy(),
            tensors["directions"].numpy(),
            described["scale"],
            described["width"],
        )


def _vectoriser(**options: Any) -> Any:
    from sklearn.feature_extraction.text import TfidfVectorizer

    options |= {"dtype": np.float32}
    return TfidfVectorizer(
        sublinear_tf=True,
        ngram_range=(1, 2),
        strip_accents="unicode",
        token_pattern=r"(?u)\b\w+\b",  # also words of one letter, as "u" in a short message
        **options,
    )


def _scale(features: np.ndarray) -> float:
    """What makes the mean square of the features 1."""
    return float(1 / max(1e-12, np.sqrt(np.square(features.astype(np.float64)).mean())))


def _filled(texts: np.ndarray) -> list[str]:
    return ["" if text is None else str(text) for text in texts]


def _sentences(name: str, texts: list[str]) -> np.ndarray:
    """Embed texts with a model of the sentence-transformers library; nothing is fetched."""
    try:
        from sentence_transformers import (  # pyright: ignore[reportMissingImports]
            SentenceTransformer,
        )
    except Exception as error:  # transformers, torchvision and more are imported
        if importlib.util.find_spec("sentence_transformers") is None:
            why = "need a package: pip install 'mwnet[text]'"
        else:
            why = f"need sentence-transformers, which cannot be imported ({first_line(error)})"
        raise UserError(f"sentence embeddings {why}") from None
    try:
        model = SentenceTransformer(name, device="cpu", local_files_only=True)
    except Exception as error:  # of many libraries
        raise UserError(
            f"there is no sentence-transformers model '{name}' on this machine "
            f"({first_line(error)})"
        ) from None
    return np.asarray(model.encode(texts, show_progress_bar=False), dtype=np.float32)
