"""The estimators: scikit-learn's interface to the heads."""

import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.metrics import accuracy_score
from sklearn.utils.metaestimators import available_if

from skmhe._base import BaseMHE, has_partial_fit
from skmhe._predicting import LARGEST_LOG, probabilities
from skmhe._validation import (
    PARAMETER_CONSTRAINTS,
    RANK_CONSTRAINT,
    fit_context,
    unchanged_on_error,
)


class MHEClassifier(ClassifierMixin, BaseMHE):
    """Multi-head encoding classifier for very many classes.

    Each class is written as a short code of local labels, one head of a neural
    network learns each local label, and predictions are put together from the
    heads [1]_.

    Parameters
    ----------
    strategy : {"auto", "cascade", "product", "sampling", "full"}, default="auto"
        How the network scores labels, with C classes, H heads of lengths L_h, and d
        features behind the hidden layers; multiply-adds are those of a sample.

        - "auto": "full" for up to 1024 classes, "sampling" up to 131072, "cascade"
          beyond; with ``model="linear"``, "full" or "cascade".
        - "cascade": a tree. Each head scores the digits that can follow a prefix;
          a beam of b prefixes is searched. Trains d * sum(L_h), predicts
          d * (L_1 + b L_2 + ..), has d * C weights.
        - "product": independent heads. d * sum(L_h) for everything: the smallest
          model, less accurate.
        - "sampling": scores all classes, trained on a pool of them: the batch's and
          those of a few groups. Trains d * (pool), predicts d * C.
        - "full": scores all classes: d * C for everything. The plain network.
    model : {"both", "linear", "network"}, default="both"
        What learns. "linear" is the fast setting, "both" the accurate one.

        - "linear": one-vs-rest linear classifiers of the samples scaled to unit
          length (squared hinge loss, as `sklearn.svm.LinearSVC`): of all labels for
          "full", otherwise in a tree, as "cascade" has it.
        - "network": hidden layers and heads.
        - "both": the sum of their scores. With ``strategy="sampling"``, the network
          is trained beside the similarity to the classes' centroids, from which the
          sample itself is left out.
          "product" has no linear classifiers.
    n_heads : int, default=2
        Number of heads, of balanced lengths, if `head_sizes` is None. "cascade"
        needs at least 2; "sampling" uses the last head's length as the size of its
        groups; "full" has no heads.
    head_sizes : sequence of int, default=None
        Lengths of the heads; their product must be at least the number of labels.
        Overrides `n_heads`.
    label_order : {"natural", "random", "frequency", "cluster"}, default="cluster"
        Which labels share their first digits (see `LabelCodec`). "cluster" divides
        the labels by the mean of their samples into balanced clusters of similar
        labels. Not used by "full".
    beam_width : int, default=10
        Number of prefixes whose labels "cascade" scores in `predict_topk` and, for
        hard negatives, in training, and trees of linear classifiers score; one more
        than k labels need, at least. May be changed after fitting.
    n_sampled_groups : int, default=8
        Number of groups that "sampling" draws in each step.
    pool_labels : {"auto", "batch", "batch_and_own_group", "batch_groups", \
            "own_group"}, default="auto"
        Which labels "sampling" scores in a step, beside those of the drawn groups: the
        batch's, these and for each sample the group of its own label, all groups of the
        batch's labels, or for each sample the group of its own only (see
        `skmhe.nn.SamplingHead`). "auto": "batch_and_own_group" with a `backbone`
        and no `margin`, else "batch".
    hard_negatives : bool or "auto", default="auto"
        What labels "cascade" learns to reject for a sample: those below the most
        probable prefixes, too (True), or only those that share a prefix with the true
        label (False). True is for a network alone; it ranks better where prefixes are
        hard to tell from samples, and one softmax over all labels makes the
        probabilities: those of `predict_topk` are of the labels that the beam found,
        `predict_proba` scores all. False makes them along the path (chain rule).
        "auto": True with a `backbone`. See `skmhe.nn.CascadeHead`.
    rank : int, default=1
        Number of products that "product" mixes.
    hidden_layer_sizes : int or sequence of int, default=(256,)
        Widths of the hidden layers. () makes the heads linear in X; each label
        then has a weight for each feature, and needs the memory for it.
    activation : {"identity", "logistic", "tanh", "relu"}, default="relu"
        Activation of the hidden layers.
    dropout : float, default=0.3
        Share of the hidden layers' outputs that is dropped in training.
    input_dropout : float, default=0.2
        Share of the features that is dropped in training.
    backbone : nn.Module, or callable that makes one, default=None
        A network of yours in place of the hidden layers: a `torch.nn.Module` (copied,
        never changed), or a class or function that makes one, called with the
        parameters ``backbone__<name>``, which `set_params` and searches know. It maps
        samples, which may then have any shape, to features (n, d): floats come as
        float32, integers (token ids) as int64. `hidden_layer_sizes`, `activation`,
        `dropout` and `input_dropout` are not used then, nor linear classifiers and
        centroids: "both" is "network". "cluster" compares the values of samples, or the
        TF-IDF weights of their tokens.
    freeze : bool, str or sequence of str, default=False
        Parameters of `backbone` that are not trained: all, or those whose names match
        patterns such as ``"layers.0.*"``. What has no others stays in evaluation mode;
        if that is all of it, features are computed once, not in every epoch.
    backbone_learning_rate : float, dict or None, default=None
        Learning rate of `backbone` at the start, where it differs from
        `learning_rate_init`; a dict gives it by patterns of parameter names, of which
        the last that matches counts.
    margin : {"arcface", "cosface"} or None, default=None
        A margin between the true label's angle and the others', for features that tell
        labels apart that were never seen, by their cosines (see `skmhe.nn.Margin` and
        `transform`). For one label a sample, a network alone, "full" and "sampling".
    margin_size : float, default=0.5
        The margin: radians for "arcface", a difference of cosines for "cosface".
    margin_scale : float, default=64.0
        Factor of the cosines, with `margin`.
    C : float, default=0.5
        Cost of the linear classifiers' errors against the squared length of their
        weights: the smaller, the stronger the regularisation.
    centroid_prior : float, default=2.0
        Weight of a label's centroid (the mean of its samples, at unit length) in
        its linear classifier before training; errors are what changes it. Helps
        rare labels.
    linear_weight : float, default=1.0
        Weight of the linear classifiers' log-scores, ``-max(0, 1 - s)^2``, beside
        the network's scores, for ``model="both"``. May be changed after fitting.
    encoder_weight : float, default=0.1
        With `label_features`, the share lambda of the label encoder's loss in the
        joint loss, ``lambda * L_encoder + (1 - lambda) * L_classifier``, in [0, 1).
    share_encoder : bool or "auto", default="auto"
        Whether samples and labels share the first layer, as one vectorizer for both
        allows; otherwise labels have one of their own. "auto" shares if X and
        `label_features` have as many columns.
    pool_size : int or "auto", default="auto"
        Number of labels that a step of the label encoder scores; "auto" is
        ``2 * batch_size``. All labels, if there are no more: the full softmax.
    n_pool_positives : int, default=3
        Number of labels of each sample that are drawn into the pool first.
    n_hard_negatives : int, default=0
        Number of labels of each sample's shortlist that are drawn into the pool; 0
        needs no shortlists.
    shortlist_size : int, default=20
        Number of nearest labels, by the encoder, that a sample's shortlist holds.
    shortlist_refresh : int, default=4
        Shortlists are found anew every so many epochs, after the first one.
    shortlist_search : {"auto", "exact", "approximate"}, default="auto"
        "exact" compares each sample with all labels, "approximate" with those of the
        nearest of many clusters: it finds about four of five, and needs faiss
        (``pip install 'skmhe[search]'``). "auto" is "approximate" for more than 100,000
        labels, if faiss is installed.
    neighbor_batches : bool, default=False
        Make batches of runs of samples whose nearest labels are alike.
    scoring : {"both", "classifier", "encoder"}, default="both"
        What scores the labels in predictions, where there are `label_features`. May
        be changed after fitting.
    alpha : float, default=0.0
        Decoupled weight decay (that of AdamW, not an L2 penalty).
    batch_size : int or "auto", default="auto"
        Number of samples of a step. "auto" is ``n_samples // 64``, but at least 16
        and at most 1024.
    learning_rate : {"constant", "linear", "cosine", "one_cycle"}, default="linear"
        Schedule: "linear" falls from `learning_rate_init` to 0 over `max_iter` epochs,
        "cosine" does so along half a wave, "one_cycle" rises to it first, in 0.3 of
        the steps. `partial_fit` always uses "constant".
    learning_rate_init : float or "auto", default="auto"
        Learning rate of AdamW at the start. "auto" is 0.005 for one label a sample,
        and 0.01 for several, whose losses have fewer large gradients; times
        ``sqrt(batch_size / 512)`` for larger batches than 512. With `backbone`, 0.001.
    max_grad_norm : float or None, default=None
        Largest norm of the gradients of a step; larger ones are scaled down to it.
    averaging_decay : float or None, default=None
        Keep a running mean of the weights in training, which each step moves by
        ``1 - averaging_decay`` towards the weights, in their place. Not in
        `partial_fit`.
    max_iter : int, default=10
        Number of epochs (passes over the samples).
    class_weight : dict, "balanced" or None, default=None
        Weights of the classes, {class: weight}; classes that are left out have 1.
        "balanced" is ``n_samples / (n_classes * count)``.
    early_stopping : bool, default=False
        Hold out a part of the training samples, score it after each epoch by the
        network (and the centroids that it is trained beside), stop when the score
        does not improve, and keep the best epoch's weights. Linear classifiers are
        fitted to all samples.
    validation_fraction : float, default=0.1
        Share of the training samples that early stopping holds out.
    n_iter_no_change : int, default=10
        Number of epochs without an improvement of at least `tol` (of the validation
        score with early stopping, of the loss without) after which training stops.
    tol : float, default=1e-4
        See `n_iter_no_change`.
    warm_start : bool, default=False
        Go on from the weights of the previous call of `fit`.
    random_state : int, RandomState instance or None, default=None
        Seed of the label order, the starting weights, the order of the samples and
        the dropout. An integer gives the same result in every call. The global
        generators of NumPy and torch are left as they were.
    verbose : bool, default=False
        Show a progress bar.
    device : str, default="auto"
        Where to compute: "cpu", "cuda", "cuda:1", ..; "auto" takes a CUDA device if
        there is one. Fitted weights are kept as NumPy arrays, so that an estimator
        fitted on one device predicts on any other.
    precision : {"auto", "float32", "bfloat16"}, default="auto"
        How products are computed in training; "bfloat16" rounds their factors to 16
        bits (8 of the digits). "auto" does so where the device multiplies such numbers
        in units of their own (AMX or AVX-512 with BF16; CUDA from compute capability
        8): fitted weights then differ a little between machines. Weights, losses and
        predictions are float32 in any case.
    **backbone__params
        ``backbone__<name>``: what `backbone`, if it is a class or function, is called
        with.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The classes.
    codec_ : LabelCodec
        The label order, and the heads' local labels of each label.
    head_sizes_ : tuple of int
        Lengths of the heads.
    strategy_ : str
        The strategy, with "auto" resolved.
    linear_ : list or None
        The levels of the linear classifiers' tree, a single one for no tree.
    centroids_ : Centroids or None
        The classes' centroids, where the network was trained beside them.
    weights_ : dict of str to ndarray
        The network's weights, by name.
    n_features_in_ : int
        Number of features.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the features, if X is a DataFrame with string column names.
    n_iter_ : int
        Number of epochs; with ``model="linear"``, of Newton steps.
    loss_ : float
        Mean training loss of the last epoch.
    loss_curve_ : list of float
        Mean training loss of each epoch.
    validation_scores_ : list of float or None
        Accuracy of the held-out samples after each epoch, with early stopping.

    See Also
    --------
    MHEMultiLabelClassifier : For any number of labels a sample.

    References
    ----------
    .. [1] Liang, Zhang, Yuan, Zhang, "Multi-Head Encoding for Extreme Label
       Classification", TPAMI 2025, arXiv:2412.10182.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.preprocessing import StandardScaler
    >>> from skmhe import MHEClassifier
    >>> X, y = load_digits(return_X_y=True)
    >>> X = StandardScaler().fit_transform(X)
    >>> clf = MHEClassifier(random_state=0).fit(X[:1000], y[:1000])
    >>> clf.head_sizes_
    (4, 3)
    >>> bool(clf.score(X[1000:], y[1000:]) > 0.9)
    True
    >>> labels, probabilities = clf.predict_topk(X[1000:], k=3)
    >>> labels.shape
    (797, 3)
    """

    _parameter_constraints = PARAMETER_CONSTRAINTS | RANK_CONSTRAINT

    def __init__(
        self,
        strategy="auto",
        *,
        model="both",
        n_heads=2,
        head_sizes=None,
        label_order="cluster",
        beam_width=10,
        n_sampled_groups=8,
        pool_labels="auto",
        hard_negatives="auto",
        rank=1,
        hidden_layer_sizes=(256,),
        activation="relu",
        dropout=0.3,
        input_dropout=0.2,
        backbone=None,
        freeze=False,
        backbone_learning_rate=None,
        margin=None,
        margin_size=0.5,
        margin_scale=64.0,
        C=0.5,
        centroid_prior=2.0,
        linear_weight=1.0,
        encoder_weight=0.1,
        share_encoder="auto",
        pool_size="auto",
        n_pool_positives=3,
        n_hard_negatives=0,
        shortlist_size=20,
        shortlist_refresh=4,
        shortlist_search="auto",
        neighbor_batches=False,
        scoring="both",
        alpha=0.0,
        batch_size="auto",
        learning_rate="linear",
        learning_rate_init="auto",
        max_grad_norm=None,
        averaging_decay=None,
        max_iter=10,
        class_weight=None,
        early_stopping=False,
        validation_fraction=0.1,
        n_iter_no_change=10,
        tol=1e-4,
        warm_start=False,
        random_state=None,
        verbose=False,
        device="auto",
        precision="auto",
        **backbone__params,
    ):
        self.strategy = strategy
        self.model = model
        self.n_heads = n_heads
        self.head_sizes = head_sizes
        self.label_order = label_order
        self.beam_width = beam_width
        self.n_sampled_groups = n_sampled_groups
        self.pool_labels = pool_labels
        self.hard_negatives = hard_negatives
        self.rank = rank
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.dropout = dropout
        self.input_dropout = input_dropout
        self.backbone = backbone
        self.freeze = freeze
        self.backbone_learning_rate = backbone_learning_rate
        self.margin = margin
        self.margin_size = margin_size
        self.margin_scale = margin_scale
        self.C = C
        self.centroid_prior = centroid_prior
        self.linear_weight = linear_weight
        self.encoder_weight = encoder_weight
        self.share_encoder = share_encoder
        self.pool_size = pool_size
        self.n_pool_positives = n_pool_positives
        self.n_hard_negatives = n_hard_negatives
        self.shortlist_size = shortlist_size
        self.shortlist_refresh = shortlist_refresh
        self.shortlist_search = shortlist_search
        self.neighbor_batches = neighbor_batches
        self.scoring = scoring
        self.alpha = alpha
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.learning_rate_init = learning_rate_init
        self.max_grad_norm = max_grad_norm
        self.averaging_decay = averaging_decay
        self.max_iter = max_iter
        self.class_weight = class_weight
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.tol = tol
        self.warm_start = warm_start
        self.random_state = random_state
        self.verbose = verbose
        self.device = device
        self.precision = precision
        self._set_backbone_params(backbone__params)

    @fit_context(prefer_skip_nested_validation=True)
    @unchanged_on_error
    def fit(self, X, y, sample_weight=None, label_features=None):
        """Fit the classifier.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Samples. Sparse ones are never made dense.
        y : array-like of shape (n_samples,)
            Classes: integers, strings or other objects that can be sorted.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples; 0 is as good as leaving the sample out.
        label_features : {array-like, sparse matrix} of shape \
                (n_labels, n_label_features), default=None
            What is known of each label, in the order of the sorted labels (of the
            columns of an indicator): one more model, an encoder, scores labels by it.
            A DataFrame is aligned by its index. Labels without a sample may have
            rows, too: named by the index, or, if labels are integers, 0..n_rows - 1.
            They are not trained, but added as by `add_labels`.

        Returns
        -------
        MHEClassifier
            The fitted estimator.

        Raises
        ------
        ValueError
            If a parameter or the data is invalid, or training diverges. The
            estimator is then as it was before the call.
        """
        return self._fit(X, y, sample_weight, label_features)

    @available_if(has_partial_fit)
    @fit_context(prefer_skip_nested_validation=True)
    @unchanged_on_error
    def partial_fit(self, X, y, classes=None, sample_weight=None, label_features=None):
        """Train the network for one epoch on some samples.

        Linear classifiers and centroids stay as `fit` left them; without a call of
        `fit` there are none. Not available with ``model="linear"``.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Samples.
        y : array-like of shape (n_samples,)
            Classes.
        classes : array-like of shape (n_classes,), default=None
            All classes; needed in the first call, if `fit` was not called.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples.
        label_features : {array-like, sparse matrix} of shape \
                (n_labels, n_label_features), default=None
            See `fit`; known from the first call on.

        Returns
        -------
        MHEClassifier
            The fitted estimator.
        """
        return self._partial_fit(X, y, classes, sample_weight, label_features)

    def predict(self, X):
        """Predict the most probable class of each sample.

        It is exact: for "cascade", the beam is widened where it might miss it.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Samples.

        Returns
        -------
        ndarray of shape (n_samples,)
            Classes.
        """
        labels, _ = self._topk(X, 1, exact=True)
        return self.classes_[labels[:, 0]]

    def predict_log_proba(self, X):
        """Predict the logarithm of the probability of every class.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Samples.

        Returns
        -------
        ndarray of float64, of shape (n_samples, n_classes)
            Log-probabilities, in the order of `classes_`. Dense in the classes;
            prefer `predict_topk` where there are very many.
        """
        return self._log_prob(X)

    def predict_proba(self, X):
        """Predict the probability of every class.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Samples.

        Returns
        -------
        ndarray of float64, of shape (n_samples, n_classes)
            Probabilities, in the order of `classes_`; rows sum to 1. Dense in the
            classes; prefer `predict_topk` where there are very many.
        """
        return probabilities(self.predict_log_proba(X))

    def decision_function(self, X):
        """Return the score of every class: its log-probability.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Samples.

        Returns
        -------
        ndarray of float64, of shape (n_samples, n_classes) or (n_samples,)
            Log-probabilities; for two classes, the log-odds of the second.
        """
        log_p = self._log_prob(X)
        return log_p[:, 1] - log_p[:, 0] if len(self.classes_) == 2 else log_p


class MHEMultiLabelClassifier(ClassifierMixin, BaseMHE):
    """Multi-head encoding classifier for very many labels, any number a sample.

    Each label is written as a short code of local labels, one head of a neural
    network learns each local label, and predictions are put together from the
    heads [1]_. As scikit-learn's MLPClassifier does, it also takes one class a
    sample (1-D `y`), and is then the same as `MHEClassifier`.

    Parameters
    ----------
    strategy : {"auto", "cascade", "sampling", "full"}, default="auto"
        How the network scores labels, with C labels, H heads of lengths L_h, and d
        features behind the hidden layers; multiply-adds are those of a sample.

        - "auto": "full" for up to 1024 labels, "sampling" up to 131072, "cascade"
          beyond; with ``model="linear"``, "full" or "cascade".
        - "cascade": a tree. Each head scores the digits that can follow a prefix;
          a beam of b prefixes is searched. About d * (L_1 + b L_2 + ..) for
          training and predicting, has d * C weights.
        - "sampling": scores all labels, trained on a pool of them: the batch's and
          those of a few groups. Trains d * (pool), predicts d * C.
        - "full": scores all labels: d * C for everything. The plain network.
        - "product" is accepted for 1-D `y` only: independent softmaxes cannot give
          several labels.
    model : {"both", "linear", "network"}, default="both"
        What learns. "linear" is the fast setting, "both" the accurate one.

        - "linear": one-vs-rest linear classifiers of the samples scaled to unit
          length (squared hinge loss, as `sklearn.svm.LinearSVC`): of all labels for
          "full", otherwise in a tree, as "cascade" has it.
        - "network": hidden layers and heads.
        - "both": the sum of their scores. With ``strategy="sampling"``, the network
          is trained beside the similarity to the labels' centroids, from which the
          sample itself is left out.
    n_heads : int, default=2
        Number of heads, of balanced lengths, if `head_sizes` is None. "cascade"
        needs at least 2; "sampling" uses the last head's length as the size of its
        groups; "full" has no heads.
    head_sizes : sequence of int, default=None
        Lengths of the heads; their product must be at least the number of labels.
        Overrides `n_heads`.
    label_order : {"natural", "random", "frequency", "cluster"}, default="cluster"
        Which labels share their first digits (see `LabelCodec`). "cluster" divides
        the labels by the mean of their samples into balanced clusters of similar
        labels. Not used by "full".
    beam_width : int, default=10
        Number of prefixes whose labels "cascade" scores in `predict_topk` and, for
        hard negatives, in training, and trees of linear classifiers score.
        May be changed after fitting.
    n_sampled_groups : int, default=8
        Number of groups that "sampling" draws in each step.
    pool_labels : {"auto", "batch", "batch_and_own_group", "batch_groups", \
            "own_group"}, default="auto"
        Which labels "sampling" scores in a step, beside those of the drawn groups: the
        batch's, these and for each sample the group of its own label, all groups of the
        batch's labels, or for each sample the group of its own only (see
        `skmhe.nn.SamplingHead`). "auto": "batch"; "batch_and_own_group" is for one
        label a sample.
    hard_negatives : bool or "auto", default="auto"
        What labels "cascade" learns to reject for a sample: those below the most
        probable prefixes (True), or only those that share a prefix with a true
        label (False; as in probabilistic label trees: cheaper; which ranks better
        depends on the data). "auto": True; for 1-D y see `MHEClassifier`. See also
        `skmhe.nn.CascadeHead`.
    hidden_layer_sizes : int or sequence of int, default=(256,)
        Widths of the hidden layers. () makes the heads linear in X; each label
        then has a weight for each feature, and needs the memory for it.
    activation : {"identity", "logistic", "tanh", "relu"}, default="relu"
        Activation of the hidden layers.
    dropout : float, default=0.3
        Share of the hidden layers' outputs that is dropped in training.
    input_dropout : float, default=0.2
        Share of the features that is dropped in training.
    backbone : nn.Module, or callable that makes one, default=None
        A network of yours in place of the hidden layers: a `torch.nn.Module` (copied,
        never changed), or a class or function that makes one, called with the
        parameters ``backbone__<name>``, which `set_params` and searches know. It maps
        samples, which may then have any shape, to features (n, d): floats come as
        float32, integers (token ids) as int64. `hidden_layer_sizes`, `activation`,
        `dropout` and `input_dropout` are not used then, nor linear classifiers and
        centroids: "both" is "network". "cluster" compares the values of samples, or the
        TF-IDF weights of their tokens.
    freeze : bool, str or sequence of str, default=False
        Parameters of `backbone` that are not trained: all, or those whose names match
        patterns such as ``"layers.0.*"``. What has no others stays in evaluation mode;
        if that is all of it, features are computed once, not in every epoch.
    backbone_learning_rate : float, dict or None, default=None
        Learning rate of `backbone` at the start, where it differs from
        `learning_rate_init`; a dict gives it by patterns of parameter names, of which
        the last that matches counts.
    margin : {"arcface", "cosface"} or None, default=None
        A margin between the true label's angle and the others', for features that tell
        labels apart that were never seen, by their cosines (see `skmhe.nn.Margin` and
        `transform`). For one label a sample, a network alone, "full" and "sampling".
    margin_size : float, default=0.5
        The margin: radians for "arcface", a difference of cosines for "cosface".
    margin_scale : float, default=64.0
        Factor of the cosines, with `margin`.
    C : float, default=0.5
        Cost of the linear classifiers' errors against the squared length of their
        weights: the smaller, the stronger the regularisation.
    centroid_prior : float, default=2.0
        Weight of a label's centroid (the mean of its samples, at unit length) in
        its linear classifier before training; errors are what changes it. Helps
        rare labels.
    linear_weight : float, default=1.0
        Weight of the linear classifiers' log-scores, ``-max(0, 1 - s)^2``, beside
        the network's scores, for ``model="both"``. May be changed after fitting.
    encoder_weight : float, default=0.1
        With `label_features`, the share lambda of the label encoder's loss in the
        joint loss, ``lambda * L_encoder + (1 - lambda) * L_classifier``, in [0, 1).
    share_encoder : bool or "auto", default="auto"
        Whether samples and labels share the first layer, as one vectorizer for both
        allows; otherwise labels have one of their own. "auto" shares if X and
        `label_features` have as many columns.
    pool_size : int or "auto", default="auto"
        Number of labels that a step of the label encoder scores; "auto" is
        ``2 * batch_size``. All labels, if there are no more: the full softmax.
    n_pool_positives : int, default=3
        Number of labels of each sample that are drawn into the pool first.
    n_hard_negatives : int, default=0
        Number of labels of each sample's shortlist that are drawn into the pool; 0
        needs no shortlists.
    shortlist_size : int, default=20
        Number of nearest labels, by the encoder, that a sample's shortlist holds.
    shortlist_refresh : int, default=4
        Shortlists are found anew every so many epochs, after the first one.
    shortlist_search : {"auto", "exact", "approximate"}, default="auto"
        "exact" compares each sample with all labels, "approximate" with those of the
        nearest of many clusters: it finds about four of five, and needs faiss
        (``pip install 'skmhe[search]'``). "auto" is "approximate" for more than 100,000
        labels, if faiss is installed.
    neighbor_batches : bool, default=False
        Make batches of runs of samples whose nearest labels are alike.
    scoring : {"both", "classifier", "encoder"}, default="both"
        What scores the labels in predictions, where there are `label_features`. May
        be changed after fitting.
    alpha : float, default=0.0
        Decoupled weight decay (that of AdamW, not an L2 penalty).
    batch_size : int or "auto", default="auto"
        Number of samples of a step. "auto" is ``n_samples // 64``, but at least 16
        and at most 1024.
    learning_rate : {"constant", "linear", "cosine", "one_cycle"}, default="linear"
        Schedule: "linear" falls from `learning_rate_init` to 0 over `max_iter` epochs,
        "cosine" does so along half a wave, "one_cycle" rises to it first, in 0.3 of
        the steps. `partial_fit` always uses "constant".
    learning_rate_init : float or "auto", default="auto"
        Learning rate of AdamW at the start. "auto" is 0.005 for one label a sample,
        and 0.01 for several, whose losses have fewer large gradients; times
        ``sqrt(batch_size / 512)`` for larger batches than 512. With `backbone`, 0.001.
    max_grad_norm : float or None, default=None
        Largest norm of the gradients of a step; larger ones are scaled down to it.
    averaging_decay : float or None, default=None
        Keep a running mean of the weights in training, which each step moves by
        ``1 - averaging_decay`` towards the weights, in their place. Not in
        `partial_fit`.
    max_iter : int, default=10
        Number of epochs (passes over the samples).
    class_weight : dict, "balanced" or None, default=None
        Weights of the loss of the true labels, {label: weight}; labels that are left
        out have 1. "balanced" is ``n_true_labels / (n_labels * count)``.
    early_stopping : bool, default=False
        Hold out a part of the training samples, score it after each epoch by the
        network (and the centroids that it is trained beside), stop when the score
        does not improve, and keep the best epoch's weights. Linear classifiers are
        fitted to all samples.
    validation_fraction : float, default=0.1
        Share of the training samples that early stopping holds out.
    n_iter_no_change : int, default=10
        Number of epochs without an improvement of at least `tol` (of the validation
        score with early stopping, of the loss without) after which training stops.
    tol : float, default=1e-4
        See `n_iter_no_change`.
    warm_start : bool, default=False
        Go on from the weights of the previous call of `fit`.
    random_state : int, RandomState instance or None, default=None
        Seed of the label order, the starting weights, the order of the samples and
        the dropout. An integer gives the same result in every call. The global
        generators of NumPy and torch are left as they were.
    verbose : bool, default=False
        Show a progress bar.
    device : str, default="auto"
        Where to compute: "cpu", "cuda", "cuda:1", ..; "auto" takes a CUDA device if
        there is one. Fitted weights are kept as NumPy arrays, so that an estimator
        fitted on one device predicts on any other.
    precision : {"auto", "float32", "bfloat16"}, default="auto"
        How products are computed in training; "bfloat16" rounds their factors to 16
        bits (8 of the digits). "auto" does so where the device multiplies such numbers
        in units of their own (AMX or AVX-512 with BF16; CUDA from compute capability
        8): fitted weights then differ a little between machines. Weights, losses and
        predictions are float32 in any case.
    **backbone__params
        ``backbone__<name>``: what `backbone`, if it is a class or function, is called
        with.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The labels: the columns 0..n_labels-1 of an indicator, or those that occur in
        lists of labels.
    codec_ : LabelCodec
        The label order, and the heads' local labels of each label.
    head_sizes_ : tuple of int
        Lengths of the heads.
    strategy_ : str
        The strategy, with "auto" resolved.
    linear_ : list or None
        The levels of the linear classifiers' tree, a single one for no tree.
    centroids_ : None
        Only with one label a sample is a network trained beside centroids.
    weights_ : dict of str to ndarray
        The network's weights, by name.
    n_features_in_ : int
        Number of features.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the features, if X is a DataFrame with string column names.
    n_iter_ : int
        Number of epochs; with ``model="linear"``, of Newton steps.
    loss_ : float
        Mean training loss of the last epoch.
    loss_curve_ : list of float
        Mean training loss of each epoch.
    validation_scores_ : list of float or None
        Precision@1 of the held-out samples after each epoch, with early stopping.

    See Also
    --------
    MHEClassifier : For one class a sample.
    sklearn.preprocessing.MultiLabelBinarizer : Turns lists of labels into an
        indicator; with ``sparse_output=True`` the best form for many labels, and
        the one that GridSearchCV takes.

    Notes
    -----
    Nested lists of equal length that hold nothing but 0 and 1 are an indicator;
    other nested lists are lists of labels.

    References
    ----------
    .. [1] Liang, Zhang, Yuan, Zhang, "Multi-Head Encoding for Extreme Label
       Classification", TPAMI 2025, arXiv:2412.10182.

    Examples
    --------
    >>> from sklearn.datasets import make_multilabel_classification
    >>> from skmhe import MHEMultiLabelClassifier
    >>> X, Y = make_multilabel_classification(
    ...     n_samples=400, n_classes=12, sparse=True, return_indicator="sparse",
    ...     random_state=0,
    ... )
    >>> clf = MHEMultiLabelClassifier(random_state=0).fit(X, Y)
    >>> clf.predict(X).shape
    (400, 12)
    >>> labels, probabilities = clf.predict_topk(X, k=3)
    >>> labels.shape
    (400, 3)
    """

    _accepts_multilabel = True
    _parameter_constraints = PARAMETER_CONSTRAINTS

    def __init__(
        self,
        strategy="auto",
        *,
        model="both",
        n_heads=2,
        head_sizes=None,
        label_order="cluster",
        beam_width=10,
        n_sampled_groups=8,
        pool_labels="auto",
        hard_negatives="auto",
        hidden_layer_sizes=(256,),
        activation="relu",
        dropout=0.3,
        input_dropout=0.2,
        backbone=None,
        freeze=False,
        backbone_learning_rate=None,
        margin=None,
        margin_size=0.5,
        margin_scale=64.0,
        C=0.5,
        centroid_prior=2.0,
        linear_weight=1.0,
        encoder_weight=0.1,
        share_encoder="auto",
        pool_size="auto",
        n_pool_positives=3,
        n_hard_negatives=0,
        shortlist_size=20,
        shortlist_refresh=4,
        shortlist_search="auto",
        neighbor_batches=False,
        scoring="both",
        alpha=0.0,
        batch_size="auto",
        learning_rate="linear",
        learning_rate_init="auto",
        max_grad_norm=None,
        averaging_decay=None,
        max_iter=10,
        class_weight=None,
        early_stopping=False,
        validation_fraction=0.1,
        n_iter_no_change=10,
        tol=1e-4,
        warm_start=False,
        random_state=None,
        verbose=False,
        device="auto",
        precision="auto",
        **backbone__params,
    ):
        self.strategy = strategy
        self.model = model
        self.n_heads = n_heads
        self.head_sizes = head_sizes
        self.label_order = label_order
        self.beam_width = beam_width
        self.n_sampled_groups = n_sampled_groups
        self.pool_labels = pool_labels
        self.hard_negatives = hard_negatives
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.dropout = dropout
        self.input_dropout = input_dropout
        self.backbone = backbone
        self.freeze = freeze
        self.backbone_learning_rate = backbone_learning_rate
        self.margin = margin
        self.margin_size = margin_size
        self.margin_scale = margin_scale
        self.C = C
        self.centroid_prior = centroid_prior
        self.linear_weight = linear_weight
        self.encoder_weight = encoder_weight
        self.share_encoder = share_encoder
        self.pool_size = pool_size
        self.n_pool_positives = n_pool_positives
        self.n_hard_negatives = n_hard_negatives
        self.shortlist_size = shortlist_size
        self.shortlist_refresh = shortlist_refresh
        self.shortlist_search = shortlist_search
        self.neighbor_batches = neighbor_batches
        self.scoring = scoring
        self.alpha = alpha
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.learning_rate_init = learning_rate_init
        self.max_grad_norm = max_grad_norm
        self.averaging_decay = averaging_decay
        self.max_iter = max_iter
        self.class_weight = class_weight
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.tol = tol
        self.warm_start = warm_start
        self.random_state = random_state
        self.verbose = verbose
        self.device = device
        self.precision = precision
        self._set_backbone_params(backbone__params)

    @fit_context(prefer_skip_nested_validation=True)
    @unchanged_on_error
    def fit(self, X, y, sample_weight=None, label_features=None):
        """Fit the classifier.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Samples. Sparse ones are never made dense.
        y : {array-like, sparse matrix} of shape (n_samples, n_labels), list of \
                lists of labels, or array-like of shape (n_samples,)
            Indicator of zeros and ones, lists of labels (empty ones too), or one
            class a sample.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples; 0 is as good as leaving the sample out.
        label_features : {array-like, sparse matrix} of shape \
                (n_labels, n_label_features), default=None
            What is known of each label, in the order of the sorted labels (of the
            columns of an indicator): one more model, an encoder, scores labels by it.
            A DataFrame is aligned by its index. Labels without a sample may have
            rows, too: named by the index, or, if labels are integers, 0..n_rows - 1.
            They are not trained, but added as by `add_labels`.

        Returns
        -------
        MHEMultiLabelClassifier
            The fitted estimator.

        Raises
        ------
        ValueError
            If a parameter or the data is invalid, or training diverges. The
            estimator is then as it was before the call.
        """
        return self._fit(X, y, sample_weight, label_features)

    @available_if(has_partial_fit)
    @fit_context(prefer_skip_nested_validation=True)
    @unchanged_on_error
    def partial_fit(self, X, y, classes=None, sample_weight=None, label_features=None):
        """Train the network for one epoch on some samples.

        Linear classifiers and centroids stay as `fit` left them; without a call of
        `fit` there are none. Not available with ``model="linear"``.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Samples.
        y : {array-like, sparse matrix} of shape (n_samples, n_labels), list of \
                lists of labels, or array-like of shape (n_samples,)
            Targets, in the form of the first call.
        classes : array-like of shape (n_labels,), default=None
            All labels. In the first call needed for lists of labels and for 1-D
            `y`, unless these hold all of them.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples.
        label_features : {array-like, sparse matrix} of shape \
                (n_labels, n_label_features), default=None
            See `fit`; known from the first call on.

        Returns
        -------
        MHEMultiLabelClassifier
            The fitted estimator.
        """
        return self._partial_fit(X, y, classes, sample_weight, label_features)

    def predict(self, X):
        """Predict the labels that are more probable than not.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Samples.

        Returns
        -------
        {ndarray, sparse matrix} of shape (n_samples, n_labels), list of tuples, \
                or ndarray of shape (n_samples,)
            The form of the `y` that was fitted: a dense indicator of its dtype, a
            CSR one, lists of labels, or classes.
        """
        form = self._fitted_form()
        if form.kind == "labels":
            labels, _ = self._topk(X, 1, exact=True)
            return self.classes_[labels[:, 0]]
        if form.kind == "dense":
            # From the same numbers as predict_proba, to the last bit.
            return (self.decision_function(X) > 0).astype(form.dtype)
        indicator = self._above(X, np.log(0.5))
        if form.kind == "sparse":
            return form.container(indicator.astype(form.dtype))
        flat = self.classes_[indicator.indices]
        return [tuple(row) for row in np.split(flat, indicator.indptr[1:-1])]

    def predict_proba(self, X):
        """Predict the probability of every label.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Samples.

        Returns
        -------
        ndarray of float64, of shape (n_samples, n_labels)
            The probability that the sample has the label, inside (0, 1). Dense in
            the labels; prefer `predict_topk` where there are very many.
        """
        return probabilities(self._log_prob(X))

    def predict_log_proba(self, X):
        """Predict the logarithm of the probability of every label.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Samples.

        Returns
        -------
        ndarray of float64, of shape (n_samples, n_labels)
            Log-probabilities, in the order of `classes_`.
        """
        return np.minimum(self._log_prob(X), LARGEST_LOG)

    def decision_function(self, X):
        """Return the log-odds of every label.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Samples.

        Returns
        -------
        ndarray of float64, of shape (n_samples, n_labels)
            Log-odds: positive where the label is more probable than not. For 1-D
            `y`, see `MHEClassifier.decision_function`.
        """
        log_p = self._log_prob(X)
        if self._fitted_form().kind == "labels":
            return log_p[:, 1] - log_p[:, 0] if len(self.classes_) == 2 else log_p
        log_p = np.minimum(log_p, LARGEST_LOG)
        return log_p - np.log(-np.expm1(log_p))

    def score(self, X, y, sample_weight=None):
        """Return the share of samples whose labels are all predicted, and no others.

        See `skmhe.metrics` for measures that say more about very many labels.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Samples.
        y : as in `fit`
            True labels.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples.

        Returns
        -------
        float
            Subset accuracy; for 1-D `y`, accuracy.
        """
        predicted = self.predict(X)
        if self._fitted_form().kind == "lists":
            pairs = zip(y, predicted, strict=True)
            correct = [set(true) == set(labels) for true, labels in pairs]
            return float(np.average(correct, weights=sample_weight))
        return accuracy_score(y, predicted, sample_weight=sample_weight)

    def __sklearn_tags__(self):
        """Return what scikit-learn asks about an estimator."""
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = self.strategy != "product"
        return tags
