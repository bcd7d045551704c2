"""Samples that are texts: what they say, and the words that speak for either class."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from mwnet.reviewing.reviewed import Samples, Sheets, Shown

LONGEST = 2_000
BESIDE = 240
"""Characters of a text, and of one that is shown beside another."""
COUNTED = 20_000
"""Texts besides those that are reviewed in which words are counted at most."""
WORDS = 5
"""Words that speak for a class."""
PLAIN = 0.7
"""Nats from which a word speaks for a class: it is twice as frequent there."""


@dataclass(frozen=True)
class Texts:
    """Samples that are texts.

    Attributes:
        texts: ``(n,)`` strings, None for a missing one.
    """

    texts: np.ndarray
    most: int = 5_000

    def rows(self, rows: np.ndarray) -> "Texts":
        """Return some of them."""
        return Texts(self.texts[rows])

    def packed(self, samples: Samples, shown: Shown) -> tuple[dict[str, Any], Sheets]:
        """Cut the texts, and find the words that speak for the given and the suggested class."""
        cut = [
            _cut(self.texts[row], LONGEST if place < shown.count else BESIDE)
            for place, row in enumerate(shown.members)
        ]
        return {"kind": "texts", "texts": cut, "words": self.words(samples, shown.reviewed)}, []

    def words(self, samples: Samples, reviewed: np.ndarray) -> list[list[list[str]]]:
        """Return for each text the words for its given class, and those for the suggested one.

        A word speaks for a class if a greater share of its other texts have it than of the other
        class; by the given labels. Without a suggestion the other class is all texts.
        """
        from scipy.sparse import csr_array
        from sklearn.feature_extraction.text import CountVectorizer

        vectoriser = CountVectorizer(binary=True, max_features=20_000, token_pattern=r"(?u)\b\w+\b")
        others = np.setdiff1d(np.arange(len(samples)), reviewed)
        others = np.random.default_rng(0).permutation(others)[:COUNTED]
        rows = np.concatenate([reviewed, others])
        texts = ["" if text is None else str(text) for text in self.texts[rows]]
        try:
            counts = csr_array(vectoriser.fit_transform(texts))
        except ValueError:  # no words at all
            return [[[], []] for _ in reviewed]
        known = vectoriser.get_feature_names_out()
        member = np.eye(len(samples.classes), dtype=np.float32)[samples.given[rows]]
        member = np.hstack([member, np.ones((len(rows), 1), dtype=np.float32)])
        in_class = np.asarray(counts.T @ member)
        size = member.sum(0)
        found = []
        for place, row in enumerate(reviewed):
            own = counts.indices[counts.indptr[place] : counts.indptr[place + 1]]
            given, other = samples.given[row], samples.suggested[row]
            # One more text in the smaller class does not make a word speak for it.
            few = 1 / max(1, min(size[given] - 1, size[other]))
            here = (in_class[own, given] - 1) / max(1, size[given] - 1) + few
            gain = np.log(here / (in_class[own, other] / max(1, size[other]) + few))
            order = np.argsort(-gain, kind="stable")
            found.append(
                [
                    known[own[order[gain[order] > PLAIN][:WORDS]]].tolist(),
                    known[own[order[gain[order] < -PLAIN][::-1][:WORDS]]].tolist(),
                ]
            )
        return found


def _cut(text: Any, most: int) -> str:
    whole = "" if text is None else str(text)
    return whole if len(whole) <= most else whole[: most - 1] + "…"
