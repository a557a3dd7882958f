"""Parameter objects: what only concerns one part of the model."""

import inspect
from collections.abc import Callable
from typing import Any, Self

from torch import nn

from skmhe.estimators._sklearn import ObjectOf
from skmhe.estimators.docs import documented
from skmhe.estimators.names import Parameters, explained_names
from skmhe.estimators.table import constraints, only_used
from skmhe.scorers.parameter_names import Frozen, Rates
from skmhe.scorers.user_backbone import name_of


@documented(**only_used("LinearTree"))
class LinearTree(Parameters):
    """Parameters of the linear classifiers.

    One-vs-rest linear classifiers (squared hinge loss, as `sklearn.svm.LinearSVC`) of
    the samples, which are scaled to unit length; before, the columns of dense ones,
    with more than a quarter of values that are not 0, are standardized. They score all
    labels, or form a tree: with "cascade", whose prefixes are the nodes, and with
    "sampling". Beside "sampling" and a cascade with hard negatives, there is a tree
    only where it is much faster, by an estimate from the numbers of samples, of their
    nonzero features and labels, and of all labels.

    Parameters
    ----------
    C : float, default=0.5
        Inverse of the regularization strength: cost of errors against the squared
        length of the weights.
    centroid_prior : float, default=2.0
        Weight of a label's centroid (the mean of its samples, scaled to unit length) in
        its classifier before training, towards which weights are regularized. Helps
        rare labels.
    beam_width : int, default=10
        Number of nodes in the beam, below which labels are scored. May be changed
        after fitting.
        {beam_width}

    Notes
    -----
    `beam_width` is for trees with ``model="linear"`` or "sampling". With "cascade" and
    ``model="both"``, network and linear classifiers are searched by one beam, whose
    width is that of `Cascade`.

    Examples
    --------
    >>> from skmhe import LinearTree, MHEClassifier
    >>> clf = MHEClassifier(model="linear", linear=LinearTree(C=1.0))
    >>> clf.set_params(linear__centroid_prior=0.0).linear
    LinearTree(C=1.0, centroid_prior=0.0)
    """

    _parameter_constraints = constraints("LinearTree")

    @explained_names
    def __init__(
        self,
        *,
        C: float = 0.5,
        centroid_prior: float = 2.0,
        beam_width: int = 10,
    ):
        self.C = C
        self.centroid_prior = centroid_prior
        self.beam_width = beam_width


@documented(**only_used("Backbone"))
class Backbone(Parameters):
    """A network of yours in place of the hidden layers, and how to train it.

    It maps samples, which may have any shape, to features of shape (n_samples, d).
    Floats are passed on as float32, integers (token ids) as int64.

    Parameters
    ----------
    module : torch.nn.Module, class or function
        The network, of which copies are trained, or a class or function that makes it
        when called with `params`. If parameters of the class or function are named as
        one of those below, wrap it in a function whose parameters have other names.
    freeze : bool, str, sequence of str or callable, default=False
        Which weights are not trained: all (True), those whose names match patterns
        such as ``"layers.0.*"``, or those whose names a function of the module returns.
        Parts without other weights stay in evaluation mode; if that is all of the
        network, features are computed once, not in every epoch.
    learning_rate : float, dict, callable or None, default=None
        Learning rate of the network at the start. None is the estimator's
        `learning_rate_init`. A dict maps patterns of names to rates; the last one that
        matches counts. A function of the module returns {{name: rate}}. What matches
        nothing has `learning_rate_init`.
    weight_decay : float, default=0.0
        Decoupled weight decay of the network, as that of `torch.optim.AdamW`.
    max_grad_norm : float or None, default=None
        Largest norm of the gradients of a step; larger ones are scaled down to it.
        None does not limit it.
    averaging_decay : float or None, default=None
        Keep a running mean of the weights in training, which each step moves by a share
        of ``1 - averaging_decay`` towards the current weights, and use it in their
        place. None keeps the last weights.
        {averaging_decay}
    **params : dict
        What `module` is called with, if it is a class or function. `set_params` and
        searches know them as any other parameter.

    Attributes
    ----------
    params : dict
        What `module` is called with.

    Notes
    -----
    A fitted estimator keeps `module`, and its pickles refer to the class or function by
    its name. To predict, the module is made again and given its weights. Where making
    it needs what may be gone by then, such as a file of pretrained weights, the module
    has a method ``blueprint()``, which returns a function of no arguments that makes
    one like it, with any weights.

    Examples
    --------
    >>> from torch import nn
    >>> from skmhe import Backbone, MHEClassifier
    >>> def layers(width=8):
    ...     return nn.Sequential(nn.Linear(4, width), nn.ReLU())
    >>> clf = MHEClassifier(backbone=Backbone(layers, learning_rate=0.01))
    >>> clf.set_params(backbone__width=16).backbone.params
    {{'width': 16}}
    """

    _parameter_constraints = constraints("Backbone")

    @explained_names
    def __init__(
        self,
        module: nn.Module | Callable[..., nn.Module],
        *,
        freeze: Frozen = False,
        learning_rate: Rates | None = None,
        weight_decay: float = 0.0,
        max_grad_norm: float | None = None,
        averaging_decay: float | None = None,
        **params: Any,
    ):
        self.module = module
        self.freeze = freeze
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.max_grad_norm = max_grad_norm
        self.averaging_decay = averaging_decay
        self.params = params

    def plain(self) -> "Backbone":
        """Return a backbone that says the same by a module and its parameters alone.

        Returns
        -------
        Backbone
            This object; subclasses, whose parameters are others, make a new one.
        """
        return self

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the parameters, also those that the module is called with.

        Parameters
        ----------
        deep : bool, default=True
            Also return the parameters of parameters that are estimators.

        Returns
        -------
        dict
            Values by name.
        """
        return super().get_params(deep) | self.params

    def set_params(self, **params: Any) -> Self:
        """Set parameters; other names than the own ones are those of the module.

        Parameters
        ----------
        **params : dict
            Values by name.

        Returns
        -------
        self : Backbone
            This object.
        """
        names = set(self._parameter_constraints)
        own = {n: v for n, v in params.items() if n.partition("__")[0] in names}
        super().set_params(**own)
        # Not changed in place: it may be shared with a shallow copy.
        self.params = self.params | {n: v for n, v in params.items() if n not in own}
        return self

    def _validate_params(self, argument: str = "") -> None:
        super()._validate_params(argument)
        module = self.module
        if isinstance(module, nn.Module):
            return
        shown = f"{argument or 'module'}={name_of(module)}"
        if isinstance(module, type) and issubclass(module, Backbone):
            raise TypeError(
                f"{shown} is a class of backbones, not one of them: pass an object, "
                f"{module.__name__}(...)."
            )
        try:
            names = inspect.signature(module).parameters
        except ValueError:  # of some classes that are not written in Python
            return
        shared = [name for name in self._parameter_constraints if name in names]
        if shared:
            raise ValueError(
                f"{shown} has a parameter {shared[0]!r}, but {shared[0]!r} is a "
                "parameter of Backbone, which does not pass it on. Pass a function "
                "that calls it and whose parameters have other names."
            )


def as_backbone(value: Any) -> Any:
    """Return the object that a module, or what makes one, is the short form of."""
    is_given = value is None or isinstance(value, str | Backbone)
    return value if is_given else Backbone(value)


@documented(**only_used("LabelEncoder"))
class LabelEncoder(Parameters):
    """Parameters of the label encoder, which scores labels by their features.

    It is trained together with the network where `fit` is given `label_features`, and
    maps samples and labels to vectors whose cosine is a label's score. In each step, it
    scores a *pool* of labels: labels of the batch's samples, labels from their
    *shortlists* (the labels that the encoder finds nearest to a sample), and labels
    drawn at random [1]_.

    Parameters
    ----------
    loss_weight : float or "auto", default="auto"
        Share lambda of the encoder's loss in the joint loss,
        ``lambda * L_encoder + (1 - lambda) * L_network``, in [0, 1). With 0, there is
        no encoder, and no other parameter is used. "auto" is 0.5 where a network of
        yours makes features of labels, such as a transformer, and 0.1 otherwise.
    backbone : "auto", "shared", None, Backbone, module or callable, default="auto"
        What makes features of a label, which the encoder maps to its vector. "shared"
        is what makes those of samples: the estimator's `backbone`, or its first layer
        [1]_. It needs features of labels like those of samples: made by one tokenizer,
        or by one vectorizer, with the same columns. None is a first layer for labels
        alone. A network of yours takes features of labels in any form (see `Backbone`;
        what concerns all of a step, `max_grad_norm` and `averaging_decay`, is that of
        the estimator's `backbone`, if it has one).
        "auto" is "shared" where both are alike in shape and type and, where both are
        DataFrames, in the names of their columns, and None otherwise.
    pool_size : int or "auto", default="auto"
        Number of labels in a pool. "auto" is ``2 * batch_size``, or `batch_size` where
        a network of yours makes features of labels. If there are no more labels than
        that, all of them are scored: the full softmax.
    n_positives : int, default=3
        Number of each sample's true labels that are drawn into the pool first.
        {n_positives}
    n_shortlisted : int, default=0
        Number of labels that are drawn into the pool from each sample's shortlist. With
        0, no shortlists are needed.
    shortlist_size : int, default=20
        Number of labels in a shortlist.
        {shortlist_size}
    shortlist_refresh : int, default=4
        Number of epochs after which shortlists are computed again. The first ones
        follow the first epoch.
        {shortlist_refresh}
    shortlist_search : {{"auto", "exact", "approximate"}}, default="auto"
        "exact" compares each sample with all labels; "approximate" with those of the
        nearest of many clusters, finds about four of five, and needs faiss
        (``pip install 'skmhe[search]'``). "auto" is "approximate" for more than 100,000
        labels if faiss is installed, "exact" otherwise.
        {shortlist_search}
    neighbor_batches : bool, default=False
        Whether batches are made of runs of samples whose nearest labels are alike.
    score_with : {{"both", "classifier", "encoder"}}, default="both"
        What scores labels in predictions: the encoder, the rest of the model, or the
        sum of both. May be changed after fitting. "encoder" is an error without
        `label_features`.

    References
    ----------
    .. [1] Kharbanda et al., "UniDEC: Unified Dual Encoder and Classifier Training for
       Extreme Multi-Label Classification", arXiv:2405.03714.

    Examples
    --------
    >>> from skmhe import LabelEncoder, MHEClassifier
    >>> clf = MHEClassifier(label_encoder=LabelEncoder(loss_weight=0.5))
    >>> clf.set_params(label_encoder__pool_size=1000).label_encoder
    LabelEncoder(loss_weight=0.5, pool_size=1000)
    """

    _parameter_constraints = constraints("LabelEncoder")
    _parameter_constraints |= {
        "backbone": [
            *_parameter_constraints["backbone"],
            ObjectOf(Backbone, "Backbone"),
        ]
    }

    @explained_names
    def __init__(
        self,
        *,
        loss_weight: float | str = "auto",
        backbone: Any = "auto",
        pool_size: int | str = "auto",
        n_positives: int = 3,
        n_shortlisted: int = 0,
        shortlist_size: int = 20,
        shortlist_refresh: int = 4,
        shortlist_search: str = "auto",
        neighbor_batches: bool = False,
        score_with: str = "both",
    ):
        self.loss_weight = loss_weight
        self.backbone = backbone
        self.pool_size = pool_size
        self.n_positives = n_positives
        self.n_shortlisted = n_shortlisted
        self.shortlist_size = shortlist_size
        self.shortlist_refresh = shortlist_refresh
        self.shortlist_search = shortlist_search
        self.neighbor_batches = neighbor_batches
        self.score_with = score_with

    def set_params(self, **params: Any) -> Self:
        """Set parameters, also those of a network for labels.

        Parameters
        ----------
        **params : dict
            Values by name. Those of the network have names such as ``backbone__width``.

        Returns
        -------
        self : LabelEncoder
            This object.
        """
        given = [name for name in params if name.startswith("backbone__")]
        if given:
            backbone = as_backbone(params.get("backbone", self.backbone))
            if not isinstance(backbone, Backbone):
                raise ValueError(
                    f"{', '.join(given)} was set, but backbone={backbone!r} of "
                    "LabelEncoder has no parameters: pass a torch.nn.Module, or a "
                    "class or function that makes one, as label_encoder__backbone."
                )
            params = params | {"backbone": backbone}
        super().set_params(**params)
        return self

    def _validate_params(self, argument: str = "label_encoder") -> None:
        super()._validate_params(argument)
        backbone = as_backbone(self.backbone)
        if isinstance(backbone, Backbone):
            backbone._validate_params(f"{argument}__backbone")
