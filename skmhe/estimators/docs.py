"""Docstrings that are put together from parts, so that each part is written once."""

import inspect
from collections.abc import Callable
from typing import TypeVar

from skmhe.estimators.table import only_used

T = TypeVar("T")


def documented(**parts: str) -> Callable[[T], T]:
    """Decorate a class or function whose docstring has places for parts of it.

    Parameters
    ----------
    **parts : str
        What is put in place of ``{name}``; other braces are doubled. A part is not
        indented: its place is within a line, or a line that is not indented further
        than the docstring.
    """

    def decorate(documented_object: T) -> T:
        text = documented_object.__doc__
        if text is not None:  # python -OO has none
            # Not indented, as Python 3.13 itself leaves docstrings.
            documented_object.__doc__ = inspect.cleandoc(text).format(**parts)
        return documented_object

    return decorate


# The constructor's parameters, those of both estimators.
PARAMETERS = inspect.cleandoc(
    """
    strategy : str or strategy object, default="auto"
        How the network scores labels. A name is the short form of an object with
        default parameters, which are then known as ``strategy__beam_width``, for
        example: "cascade" is ``Cascade()``.

        - "full" (see `Full`) scores all labels: the plain network.
        - "product" (see `Product`) has independent heads: the smallest model. It is for
          one label per sample.
        - "cascade" (see `Cascade`) searches a tree of labels: the fastest predictions.
        - "sampling" (see `Sampling`) scores all labels, but is trained on samples of
          them.
        - "auto" decides by the number of heads where `n_heads` or `head_sizes` give it:
          "full" for one, "cascade" for more. Otherwise by the number of labels: "full"
          for up to 1024, "sampling" for up to 131072, "cascade" beyond. With
          ``model="linear"``, "cascade" where it is much faster than "full".
    model : {{"both", "linear", "network"}}, default="both"
        What is trained. "linear" is the fast setting, "both" the accurate one.
        {model}

        - "linear": linear classifiers (see `LinearTree`), of all labels for "full", in
          a tree for "cascade". An error with "product", "sampling" and a `backbone`.
        - "network": hidden layers, and heads on top of them.
        - "both": both of them, whose scores are added.
    effort : {{"fast", "balanced", "accurate"}}, default="balanced"
        How much the network is trained: what "auto" stands for in `hidden_layer_sizes`
        and `max_iter`. ``model="linear"``, which trains none, is faster than "fast".
        {effort}

        - "fast": (128,), and ``500 / sqrt(n_samples)`` epochs, 1 to 10.
        - "balanced": (256,), and ``1000 / sqrt(n_samples)`` epochs, 2 to 20.
        - "accurate": (512,), and ``2500 / sqrt(n_samples)`` epochs, 5 to 50.
    n_heads : int or "auto", default="auto"
        Number of heads: the parts of a label's code, whose lengths are balanced. 1 is
        "full", the only number that it has; "cascade" has at least 2; "sampling" takes
        the last head's length as the size of its groups. "auto" is 1 for "full" and 2
        otherwise; more for "cascade" where linear classifiers are much faster so, as
        with hundreds of thousands of samples and labels. More than ``log2(n_labels)``
        heads have lengths of 1 among them, which decide nothing; at most 64.
        {n_heads}
    head_sizes : sequence of int, default=None
        Lengths of the heads, whose product is at least the number of labels. None
        derives them from `n_heads`.
        {head_sizes}
    label_order : {{"cluster", "natural", "random", "frequency"}}, default="cluster"
        Which labels share the beginning of their codes (see `LabelCodec`). "cluster"
        divides the labels, by the mean of their samples, into balanced clusters of
        similar labels.
        {label_order}
    linear : LinearTree or None, default=None
        Parameters of the linear classifiers, such as their regularization. There are
        none with a `backbone`, with "product", and of `partial_fit` alone. None is the
        short form of ``LinearTree()``; it does not leave them out, which is
        ``model="network"``.
        {linear}
    label_encoder : LabelEncoder or None, default=None
        Parameters of the label encoder. None is the short form of ``LabelEncoder()``.
        {label_encoder}
    combination : {{"learned", "equal"}} or dict, default="learned"
        Weights of the scorers whose scores are added up, relative to each other. A dict
        has a number of at least 0 for each: ``{{"network": 1, "linear": 2}}``, with
        `label_features` one for "label_encoder" as well and, where these are like the
        samples' features, for "own_labels" (1 if it is left out): what is known of
        samples that are labels themselves. "equal" is 1 for all. "learned" learns the
        weights, and the calibration that makes probabilities of the sums, on samples
        that are held out: a tenth of fewer than 10,000, a twentieth of more than 20,000
        (at least 1000, at most 2000). The tenth is held out until the last epoch, which
        has all samples; the twentieth is left out. With 100 to 1999 samples, if several
        scores are added up, each half is held out from a model of the other one, which
        takes 1.5 to 3 times the time. With fewer, with `early_stopping`, `warm_start`,
        `partial_fit` or one epoch, it is "equal". See `combination_`. May be changed
        after fitting; "learned" then is what was learned.
        {combination}
    backbone : torch.nn.Module, class, function, Backbone or None, default=None
        A network of yours in place of the hidden layers. A module, or a class or
        function that makes one, is the short form of ``Backbone(module)``. Linear
        classifiers are added to it if X is `Parts`, which have features for them.
        Otherwise it is trained alone: "both" is then "network", and "cluster" compares
        the values of samples, or the TF-IDF weights of their tokens. None is the
        estimator's own hidden layers. An error with ``model="linear"``.
        {backbone}
    hidden_layer_sizes : int, sequence of int or "auto", default="auto"
        Widths of the hidden layers, which have rectified linear units. () makes the
        scores linear in X; each label then has a weight for each feature. "auto" is
        one layer, as wide as `effort` says.
        {hidden_layer_sizes}
    dropout : float or pair of float, default=(0.0, 0.1)
        Share of the input features, and of the hidden layers' outputs, that is dropped
        in training. One number is for both.
        {dropout}
    batch_size : int or "auto", default="auto"
        Number of samples in a step. "auto" is ``n_samples // 32``, or
        ``n_samples // 64`` for "sampling" and with a `backbone`, but at least 16 and at
        most 1024; of "cascade" without a `backbone`, at most a sample for each 128
        labels, if that is more.
        {batch_size}
    learning_rate : {{"constant", "linear", "cosine", "one_cycle"}}, default="linear"
        Schedule of the learning rate: "linear" falls from `learning_rate_init` to 0
        over `max_iter` epochs, "cosine" does so along half a wave, "one_cycle" rises to
        it first, in 0.3 of the steps. In `partial_fit`, it is "constant".
        {learning_rate}
    learning_rate_init : float or "auto", default="auto"
        Learning rate of AdamW at the start. "auto" is 0.01 for "sampling",
        0.015 if `y` is multi-label, and 0.02 for other strategies, divided by the
        number of hidden layers and, where the widest has more than 256 units, by
        ``sqrt(width / 256)``; with a `backbone`, it is 0.001, or 0.01 with its
        ``freeze=True`` (not with names, which may leave layers to train).
        {learning_rate_init}
    max_iter : int or "auto", default="auto"
        Number of epochs (passes over the samples). "auto" leaves it to `effort`.
        {max_iter}
    class_weight : dict, "balanced" or None, default=None
        Weights of the labels, ``{{label: weight}}``; labels that are left out have 1,
        and keys that are not among the labels of `y` are ignored, unless all of them
        are, as a part of a data set may lack rare labels.
        "balanced" is ``n_samples / (n_labels * count)``, with the number of true labels
        in place of `n_samples` for multi-label `y`; it is an error in `partial_fit`.
    early_stopping : bool or float, default=False
        Hold out a share of the training samples (True: 0.1), score them by the network
        after each epoch, stop when the score does not improve, and keep the weights of
        the best epoch. Linear classifiers are fitted to all samples. An error in
        `partial_fit`.
        {early_stopping}
    n_iter_no_change : int, default=3
        Number of epochs without an improvement of more than 0.0001 after which training
        stops: of the validation score with `early_stopping`, of the training
        loss otherwise.
        {n_iter_no_change}
    warm_start : bool, default=False
        Continue from the weights of the previous call of `fit`.
        {warm_start}
    random_state : int, RandomState instance or None, default=None
        Controls the label order, the initial weights, the order of the samples, and
        dropout. An int gives the same result in every call. The global generators of
        NumPy and torch are not changed.
        {random_state}
    verbose : bool or int, default=False
        Whether fitting shows its progress. 1 or True shows a bar in terminals and
        notebooks, and elsewhere (files, pipes, parallel jobs) a line after each epoch
        of the network and each level of the linear classifiers. 2 or more shows lines
        everywhere. They go to the logger "skmhe" as INFO or, where logging has no
        handlers, to `sys.stderr`, as does how much memory a large fit takes.
    device : str or torch.device, default="auto"
        Where to compute: a `torch.device` or its name, such as "cpu", "cuda" or
        "cuda:1". "auto" is a CUDA device if there is one. Fitted weights are NumPy
        arrays, so that an estimator that was fitted on one device predicts on any
        other.
    dtype : {{"auto", "float32", "bfloat16"}}, default="auto"
        Type in which matrix products are computed in training. "bfloat16" rounds their
        factors to 16 bits, of which 8 are significant. "auto" does so where the device
        has units for it (AMX or AVX-512 with BF16; CUDA from compute capability 8), so
        that fitted weights differ slightly between machines. Weights, losses and
        predictions are float32 in any case.
        {dtype}
    """
).format(**only_used("estimator"))

ATTRIBUTES = inspect.cleandoc(
    """
    codec_ : LabelCodec
        The label order, and the code of each label.
    strategy_ : str
        Name of the strategy, with "auto" resolved.
    n_heads_ : int
        Number of heads.
    head_sizes_ : tuple of int
        Lengths of the heads.
    n_features_in_ : int
        Number of features; of both parts together, if X is `Parts`.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the features, if X is a DataFrame whose column names are strings.
    combination_ : dict
        Weights of the scorers that predictions use, by their names, relative to the
        first that is not 0: those of `combination`, or those that `fit` learned.
    history_ : list of dict
        What happened in each complete epoch, those before `partial_fit` or a warm start
        included: "epoch" (its number, from 1), "loss" (mean training loss),
        "validation_score" (with early stopping, see `validation_scores_`), "seconds",
        and "learning_rate" (of its first step). Empty with ``model="linear"``.
    n_iter_ : int
        Number of complete epochs. With ``model="linear"``, number of steps of the
        label that took most.
    loss_ : float or None
        Mean training loss of the last complete epoch; None with ``model="linear"``,
        or if training was interrupted before.
    loss_curve_ : list of float
        Mean training loss of each complete epoch.
    """
)

REFERENCES = inspect.cleandoc(
    """
    .. [1] Liang, Zhang, Yuan, Zhang, "Multi-Head Encoding for Extreme Label
       Classification", TPAMI 2025, arXiv:2412.10182.
    """
)

# Parameters of methods.
SAMPLES = inspect.cleandoc(
    """
    X : {array-like, sparse matrix} of shape (n_samples, n_features), or Parts
        Samples; with a `backbone`, an array of any shape (n_samples, ...). Scale dense
        features, for example with `StandardScaler`: only linear classifiers do. With
        `Parts`, the network reads one part, and linear classifiers, centroids and the
        order of labels another one; what was fitted with `Parts` predicts with them.
    """
)

TARGETS = inspect.cleandoc(
    """
    y : array-like of shape (n_samples,)
        Labels: integers, strings or other objects that can be hashed and sorted, such
        as dates or, in a column of dtype object, tuples. `MHEMultiLabelClassifier` also
        takes multi-label targets: an indicator of zeros and ones ({array-like, sparse
        matrix} of shape (n_samples, n_labels)), where the names of a DataFrame's
        columns are the labels; or lists of labels, which may be empty: a list of them,
        or a column of pandas, polars or Arrow. A label that a list names twice counts
        once; a missing value is an error.
    """
)

WEIGHTS = inspect.cleandoc(
    """
    sample_weight : array-like of shape (n_samples,), default=None
        Weights of the samples. A weight of 0 is the same as leaving the sample out.
    """
)

LABEL_FEATURES = inspect.cleandoc(
    """
    label_features : {array-like, sparse matrix} of shape (n_labels, d), default=None
        d features of each label, in the order of the sorted labels (of an indicator's
        columns), by which a label encoder scores them; or features of any shape that a
        network of yours takes (`LabelEncoder`), such as token ids; or, where X is, the
        `Parts` that one transformer makes of both. A DataFrame is aligned by its index.
        Labels without a sample may have rows, too: named by the index or, where labels
        are integers, the rows 0 to n_rows - 1. They are not trained, but added as by
        `add_labels`.
    """
)
