"""Find the wrong labels of a table, and train a classifier that is not misled by them."""

import tempfile

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

import mwnet

X, truth = load_digits(return_X_y=True, as_frame=True)
X, X_test, truth, y_test = train_test_split(X, truth, random_state=0)

# Three labels in ten are replaced by another one.
rng = np.random.default_rng(0)
wrong = rng.random(len(truth)) < 0.3
y = truth.mask(wrong, (truth + rng.integers(1, 10, len(truth))) % 10)

model = mwnet.MWNetClassifier(epochs=20).fit(X, y)
issues = model.label_issues_.sort_values("label_quality")  # the index is that of X
print(issues.head())
print(f"AUC of finding wrong labels: {mwnet.metrics.roc_auc(wrong, model.label_quality_):.3f}")
print(f"accuracy on clean test labels: {model.score(X_test, y_test):.3f}")

with tempfile.TemporaryDirectory() as folder:  # it can be kept: no pickle, safetensors and JSON
    model.save(folder)
    print(mwnet.load(folder).predict(X_test[:5]))
