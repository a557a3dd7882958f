"""Strategies: how the network scores labels, with what only concerns one of them.

Estimators ask a strategy for what it can do, never for its name.
"""

from abc import ABC, abstractmethod
from typing import Any, ClassVar

from skmhe.estimators.docs import documented
from skmhe.estimators.names import Parameters, explained_names
from skmhe.estimators.setting import Setting
from skmhe.estimators.table import constraints, only_used
from skmhe.nn import CascadeHead, FullHead, Head, Margin, ProductHead, SamplingHead
from skmhe.nn.heads.cascade import training_beam
from skmhe.scorers.network import HeadSpec

# Up to the first number of labels, the strategy "auto" is "full"; up to the second one
# "sampling", and "cascade" beyond.
MAX_FULL_LABELS, MAX_SAMPLED_LABELS = 1024, 2**17
# Of wrong nodes that linear classifiers reject, see `Strategy.n_near`: more make a fit
# slower, and did not rank better on debdeps.
N_NEAR = 3
# The largest batch of "auto". A cascade's may have a sample for so many labels: with
# fewer, more of a step's time goes into the labels' weights than into the samples.
MAX_BATCH, LABELS_PER_SAMPLE = 1024, 128


class Strategy(Parameters, ABC):
    """Base class of the strategies."""

    name: ClassVar[str]  # the short form, as in strategy="cascade"
    kind: ClassVar[type[Head]]
    # How many heads it can have; None for any number.
    min_heads: ClassVar[int] = 1
    max_heads: ClassVar[int | None] = None
    multilabel: ClassVar[bool] = True  # whether it can give a sample several labels
    needs_order: ClassVar[bool] = True  # whether the label order has an effect
    # Whether scores of labels (by linear classifiers, centroids, a label encoder) can
    # be added to those of the network.
    adds_scores: ClassVar[bool] = True
    # What model="both" adds: linear classifiers, and the similarity to the centroids.
    adds_linear: ClassVar[bool] = True
    adds_centroids: ClassVar[bool] = False
    linear_alone: ClassVar[bool] = False  # whether model="linear" has it
    has_beam: ClassVar[bool] = False  # whether the network searches a beam of prefixes
    # What "auto" stands for: the rate learning_rate_init, by whether a sample may have
    # several labels, and the batch_size that gives an epoch so many steps, if it can.
    learning_rates: ClassVar[dict[bool, float]] = {False: 0.02, True: 0.02}
    steps_per_epoch: ClassVar[int] = 32

    def max_auto_batch(self, n_labels: int) -> int:
        """Return the largest batch that batch_size="auto" stands for."""
        return MAX_BATCH

    @property
    def heads_text(self) -> str:
        """How many heads there can be, for errors."""
        if self.max_heads is not None:
            return "one head"
        return f"at least {self.min_heads}" + (" heads" * (self.min_heads > 1))

    def has_linear_tree(self, setting: Setting) -> bool:
        """Tell whether linear classifiers form a tree, or score all labels."""
        return False

    def n_near(self, setting: Setting) -> int:
        """Return for how many wrong nodes linear classifiers reject a sample."""
        return 0

    def head(self, setting: Setting, head_sizes: tuple[int, ...]) -> HeadSpec:
        """Return which head of `skmhe.nn` to build, for heads of some lengths."""
        options = {"n_labels": setting.n_labels, "sparse_grad": True}
        if self.multilabel:
            options["multilabel"] = setting.multilabel
        return HeadSpec(self.kind, options | self._options(setting, head_sizes))

    @abstractmethod
    def _options(self, setting: Setting, head_sizes: tuple[int, ...]) -> dict[str, Any]:
        """Return what only concerns this head."""


def as_margin(margin: Margin | str | None) -> Margin | None:
    """Return the margin that a short form stands for."""
    return Margin(margin) if isinstance(margin, str) else margin


@documented(**only_used("Full"))
class Full(Strategy):
    """Score all labels, in training and prediction: the plain network.

    With d features and C labels, training and prediction of a sample cost d * C
    multiply-adds. There is one head.

    Parameters
    ----------
    margin : skmhe.nn.Margin, {{"arcface", "cosface"}} or None, default=None
        Margin between the angle of the true label and those of the others. It is for
        features that tell labels apart that were not in training, by their cosines
        (see `transform`). The short form "arcface" is ``Margin("arcface", 0.5, 64.0)``,
        "cosface" is ``Margin("cosface", 0.5, 64.0)``. Otherwise, a margin is an error.
        {margin}

    See Also
    --------
    skmhe.nn.FullHead : The head.

    Examples
    --------
    >>> from skmhe import Full, MHEClassifier
    >>> MHEClassifier(Full(margin="arcface"), model="network")
    MHEClassifier(model='network', strategy=Full(margin='arcface'))
    """

    name = "full"
    kind = FullHead
    max_heads = 1
    needs_order = False
    linear_alone = True
    _parameter_constraints = constraints("Full")

    @explained_names
    def __init__(self, *, margin: Margin | str | None = None):
        self.margin = margin

    def _options(self, setting: Setting, head_sizes: tuple[int, ...]) -> dict[str, Any]:
        return {"margin": as_margin(self.margin)}


@documented(**only_used("Product"))
class Product(Strategy):
    """Train independent heads, whose probabilities are multiplied: the smallest model.

    With d features and heads of lengths L_h, training and prediction of a sample cost
    d * sum(L_h) multiply-adds, and there are as many weights; "cascade" and "sampling"
    are more accurate. It needs 1-D `y`, and has no linear classifiers.

    Parameters
    ----------
    rank : int, default=1
        Number of products that are mixed. Weights and costs grow with it.

    See Also
    --------
    skmhe.nn.ProductHead : The head.

    Examples
    --------
    >>> from skmhe import MHEClassifier, Product
    >>> clf = MHEClassifier(Product(rank=2), n_heads=3)
    >>> clf.get_params()["strategy__rank"]
    2
    """

    name = "product"
    kind = ProductHead
    multilabel = False
    adds_scores = False
    adds_linear = False
    _parameter_constraints = constraints("Product")

    @explained_names
    def __init__(self, *, rank: int = 1):
        self.rank = rank

    def _options(self, setting: Setting, head_sizes: tuple[int, ...]) -> dict[str, Any]:
        return {"head_sizes": head_sizes, "rank": self.rank}


@documented(**only_used("Cascade"))
class Cascade(Strategy):
    """Search a tree of labels: each head scores what can follow a prefix.

    A *prefix* is the beginning of a label's code, and a node of the tree. The *beam*
    holds the b most probable prefixes, below which labels are scored. With d features
    and heads of lengths L_1, ..., L_H, a sample costs about d * sum(L_h) multiply-adds
    in training and d * (L_1 + b * L_2 + ...) in prediction. There are at least two
    heads. Linear classifiers form a tree with the same nodes or, beside a network with
    hard negatives, score all labels where that takes little time.

    Parameters
    ----------
    beam_width : int or "auto", default="auto"
        Number of prefixes in the beam: of `predict_topk`, which widens it to more than
        k labels where needed, and of training with hard negatives. "auto" is 10:
        fewer in training where these have more than about 4096 labels, and more in
        predictions where they have fewer. May be changed after fitting.
        {beam_width}
    hard_negatives : bool, default=True
        Which wrong labels are trained against: also those below the most probable
        prefixes (True), or only those that share a prefix with a true label (False; as
        in probabilistic label trees: cheaper, and less accurate where prefixes are hard
        to predict).
        {hard_negatives}

        For 1-D `y`, one softmax over all labels then makes the probabilities: those of
        `predict_topk` are relative to the labels that the beam found, `predict_proba`
        scores all labels. For multi-label `y`, each label and each prefix then has a
        sigmoid, and the odds against a label are about the largest of those on its
        path. With False, and with ``model="linear"``, probabilities are multiplied
        along the label's path.

    See Also
    --------
    skmhe.nn.CascadeHead : The head.

    Examples
    --------
    >>> from skmhe import Cascade, MHEClassifier
    >>> clf = MHEClassifier(Cascade(beam_width=20))
    >>> clf.set_params(strategy__beam_width=40).strategy
    Cascade(beam_width=40)
    """

    name = "cascade"
    kind = CascadeHead
    min_heads = 2
    linear_alone = True
    has_beam = True
    _parameter_constraints = constraints("Cascade")

    @explained_names
    def __init__(self, *, beam_width: int | str = "auto", hard_negatives: bool = True):
        self.beam_width = beam_width
        self.hard_negatives = hard_negatives

    def max_auto_batch(self, n_labels: int) -> int:
        """Return the largest batch that batch_size="auto" stands for.

        A step updates most of the labels' weights, however few samples it has.
        """
        return max(MAX_BATCH, n_labels // LABELS_PER_SAMPLE)

    def has_linear_tree(self, setting: Setting) -> bool:
        """Tell whether linear classifiers form a tree: the same as the network's.

        They must where probabilities multiply along the path; a network with hard
        negatives is added to scores of all labels where a tree is not much faster.
        """
        return not self._is_joint(setting) or setting.n_tree_levels > 1

    def n_near(self, setting: Setting) -> int:
        """Return for how many wrong nodes linear classifiers reject a sample.

        Where the network does so, too: the scores of labels below several prefixes are
        compared. Not of one label per sample, where it made them less accurate, nor in
        deep trees, which are for data that would take too long otherwise.
        """
        is_asked = setting.multilabel and self._is_joint(setting)
        return N_NEAR if is_asked and setting.n_tree_levels <= 2 else 0

    def _is_joint(self, setting: Setting) -> bool:
        """Tell whether labels are scored whatever their prefixes are."""
        # Linear classifiers alone have probabilities along the path.
        return bool(self.hard_negatives) and setting.has_network

    def _options(self, setting: Setting, head_sizes: tuple[int, ...]) -> dict[str, Any]:
        width = self.beam_width
        return {
            "head_sizes": head_sizes,
            "beam_width": training_beam(head_sizes) if width == "auto" else width,
            "hard_negatives": self._is_joint(setting),
        }


@documented(**only_used("Sampling"))
class Sampling(Strategy):
    """Score all labels, but train on a pool of them.

    Labels are divided into *groups*, which share all of their code but the last part.
    The *pool* of a training step holds the labels of some groups, which are drawn, and
    labels that concern the batch. With d features and C labels, a sample costs
    d * (size of the pool) multiply-adds in training, d * C in prediction. With
    ``model="both"``, the network is also given the similarity of samples to the labels'
    centroids, from which the sample itself is left out in training.

    Parameters
    ----------
    n_sampled_groups : int or "auto", default="auto"
        Number of groups that are drawn in each step. "auto" is 2 for a network
        that completes the similarity to centroids, and 8 for others: of
        ``model="network"``, with a `backbone` without `Parts`, and of `partial_fit`.
    pool_labels : str, default="auto"
        Which labels are scored in a step, in addition to those of the drawn groups:

        - "batch": the true labels of the batch.
        - "batch_and_own_group": these and, for each sample, all labels of the group of
          its true label. For 1-D `y`, a network alone (``model="network"``, or
          a `backbone` without `Parts`), and no margin; an error otherwise.
        - "batch_groups": all labels of the groups of the batch's true labels.
        - "own_group": for each sample, all labels of the groups of its own true labels.
          An error with ``n_sampled_groups=0``.
        - "auto": "batch_and_own_group" for 1-D `y` with a `backbone`, without `Parts`
          and without a margin; "batch" otherwise.
    margin : skmhe.nn.Margin, {{"arcface", "cosface"}} or None, default=None
        See `Full`.
        {margin}

    See Also
    --------
    skmhe.nn.SamplingHead : The head.

    Examples
    --------
    >>> from skmhe import MHEMultiLabelClassifier, Sampling
    >>> MHEMultiLabelClassifier(Sampling(n_sampled_groups=4))
    MHEMultiLabelClassifier(strategy=Sampling(n_sampled_groups=4))
    """

    name = "sampling"
    kind = SamplingHead
    adds_centroids = True
    learning_rates: ClassVar[dict[bool, float]] = {False: 0.01, True: 0.015}
    steps_per_epoch = 64  # larger batches would have larger pools
    _parameter_constraints = constraints("Sampling")

    @explained_names
    def __init__(
        self,
        *,
        n_sampled_groups: int | str = "auto",
        pool_labels: str = "auto",
        margin: Margin | str | None = None,
    ):
        self.n_sampled_groups = n_sampled_groups
        self.pool_labels = pool_labels
        self.margin = margin

    def has_linear_tree(self, setting: Setting) -> bool:
        """Tell whether linear classifiers form a tree: where it is much faster.

        The network scores all labels in any case.
        """
        return setting.n_tree_levels > 1

    def _options(self, setting: Setting, head_sizes: tuple[int, ...]) -> dict[str, Any]:
        pool_labels = self.pool_labels
        if pool_labels == "auto":
            one_label = not (setting.has_rows or setting.multilabel)
            hard = one_label and self.margin is None
            pool_labels = "batch_and_own_group" if hard else "batch"
        n_sampled_groups = self.n_sampled_groups
        if n_sampled_groups == "auto":
            has_centroids = not (setting.is_alone or setting.is_partial_fit)
            n_sampled_groups = 2 if has_centroids else 8
        return {
            "group_size": min(head_sizes[-1], setting.n_labels),
            "n_sampled_groups": n_sampled_groups,
            "margin": as_margin(self.margin),
            "pool_labels": pool_labels,
        }


STRATEGIES: dict[str, type[Strategy]] = {
    strategy.name: strategy for strategy in (Full, Product, Cascade, Sampling)
}
