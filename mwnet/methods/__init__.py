"""Training methods by name, each a final class. A new one is one more line in METHODS.

A method is built as ``METHODS[name](parts, **hyper)``; ``mwnet.builders`` makes the ``Parts`` from
options. ``method`` and ``method_options`` of ``MWNetClassifier`` choose it, as do ``--method`` and
``--method.KEY`` on the command line.

Example:
    >>> from sklearn.datasets import load_digits
    >>> import mwnet
    >>> X, y = load_digits(return_X_y=True)
    >>> model = mwnet.MWNetClassifier(method="reed-hard", method_options={"beta": 0.9}, epochs=1)
    >>> model.fit(X, y).label_quality_.shape
    (1797,)
"""

from mwnet.methods.base import Context, Method, Phase
from mwnet.methods.cmw_net import CMWNet
from mwnet.methods.co_teaching import CoTeaching
from mwnet.methods.cross_fit import CrossFit
from mwnet.methods.d2l import D2L
from mwnet.methods.elr import EarlyLearning
from mwnet.methods.erm import ERM
from mwnet.methods.fine_tuning import FineTuning
from mwnet.methods.forward_correction import ForwardCorrection
from mwnet.methods.glc import GLC
from mwnet.methods.jocor import JoCoR
from mwnet.methods.l2rw import L2RW
from mwnet.methods.learner import Learner, Parts, Weighting
from mwnet.methods.mentornet import MentorNet
from mwnet.methods.mentornet_dd import MentorNetDD
from mwnet.methods.mwnet import MWNet
from mwnet.methods.own_loss import Focal, ReedHard, ReedSoft
from mwnet.methods.refurbish import Refurbish
from mwnet.methods.s_model import SModel
from mwnet.methods.self_paced import SelfPaced

METHODS: dict[str, type[Method]] = {
    "erm": ERM,
    "fine-tuning": FineTuning,
    "reed-hard": ReedHard,
    "reed-soft": ReedSoft,
    "s-model": SModel,
    "self-paced": SelfPaced,
    "focal": Focal,
    "co-teaching": CoTeaching,
    "d2l": D2L,
    "mentornet": MentorNet,
    "mentornet-dd": MentorNetDD,
    "l2rw": L2RW,
    "glc": GLC,
    "jocor": JoCoR,
    "forward-correction": ForwardCorrection,
    "mwnet": MWNet,
    "cmw-net": CMWNet,
    "elr": EarlyLearning,
    "cross-fit": CrossFit,
    "refurbish": Refurbish,
}

__all__ = ["METHODS", "Context", "Learner", "Method", "Parts", "Phase", "Weighting"]
