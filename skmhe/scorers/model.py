"""A fitted model: codes of labels, scorers, their combination and a search."""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sp
import torch

from skmhe.labels import LabelCodec
from skmhe.nn.calibrated_search import CalibratedSearch
from skmhe.nn.scores import Search
from skmhe.nn.search import FlatSearch
from skmhe.nn.tree_search import wide_beam
from skmhe.scorers.batch import Rows, in_form
from skmhe.scorers.centroids import Centroids
from skmhe.scorers.combination import (
    LINEAR_ALONE_WEIGHT,
    Calibration,
    Combination,
    Mix,
    Models,
    Scorer,
    SumOfScores,
    starting_calibration,
)
from skmhe.scorers.device import own_torch_settings
from skmhe.scorers.label_encoder import LabelEncoderScorer
from skmhe.scorers.linear import LinearScorer
from skmhe.scorers.linear.tables import Level
from skmhe.scorers.network import (
    Network,
    NetworkScorer,
    NetworkSpec,
    Weights,
    network_features,
    network_from_weights,
    with_more_labels,
)
from skmhe.scorers.own_labels import own_label_score
from skmhe.scorers.scoring import AllScores, Scoring
from skmhe.scorers.similarity import CentroidScorer, LateLabelScorer
from skmhe.scorers.storage import compacted, restored
from skmhe.scorers.threads import threads_for
from skmhe.scorers.user_backbone import UserBackbone

# Returns what a search gives of all labels, shape (n, n_labels).
Give = Callable[[Any, AllScores], torch.Tensor]
Bounds = tuple[float, float]

# What the scale of the similarities to centroids is before training, by whether a task
# is multi-label: near what it is after training, on samples of short texts.
CENTROID_SCALES = {False: 20.0, True: 5.0}


class Settings(NamedTuple):
    """What may be changed after fitting."""

    beam_width: int | None = None  # of the search for labels; None: `wide_beam`
    linear_beam_width: int = 10  # of the linear classifiers' own tree
    linear_weight: float | None = None  # None: what was learned, or else 1
    score_with: str = "both"  # or "classifier", "encoder": where there is an encoder
    device: torch.device = torch.device("cpu")


@dataclass(frozen=True, eq=False)
class Model:
    """All that predictions need, as arrays on no device.

    Labels are named by their position in the codec's order.
    """

    codec: LabelCodec  # of all labels
    search: Search  # for the labels that were fitted, which have the first positions
    spec: NetworkSpec | None = None
    weights: Weights = field(default_factory=dict)  # of the network
    linear: list[Level] | None = None
    n_linear: int = 0  # number of labels that the linear classifiers know
    # If the network was trained to complete the similarity to them.
    centroids: Centroids | None = None
    label_features: Rows | None = None  # of all labels, in rows of unit length
    # Whether features of labels and of samples have the same meaning.
    labels_are_like_samples: bool = False
    # See `count_own_labels`; shape: (2,)
    own_label_counts: np.ndarray = field(default_factory=lambda: np.zeros(2, int))
    mix: Mix | None = None  # None: `starting_mix`
    # What was built for the last predictions, as that takes longer than to predict a
    # row; nothing that is copied or written.
    _kept: dict[Settings, Scoring] = field(default_factory=dict, init=False, repr=False)

    def __getstate__(self) -> dict[str, Any]:
        return compacted(self.__dict__ | {"_kept": {}})

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(restored(state))

    @property
    def n_late(self) -> int:
        """Number of labels that came later, which the search does not find."""
        return self.codec.n_labels - self.search.n_labels

    @property
    def user_backbone(self) -> UserBackbone | None:
        """How to make the user's network, if there is one."""
        return None if self.spec is None else self.spec.user_backbone

    @property
    def linear_weight(self) -> float | None:
        """Weight of the linear classifiers in a sum with others, if there is one."""
        has_both = self.spec is not None and self.linear is not None
        return self.mix.linear_weight if has_both and self.mix is not None else None

    @property
    def late_features(self) -> Any:
        """Features of labels that came later."""
        assert self.label_features is not None
        return self.label_features[self.search.n_labels :]

    def starting_mix(self, requested: float | None) -> Mix:
        """Return weights and calibrations before anything is learned about them."""
        weight = 1.0 if requested is None else requested
        has_network = self.spec is not None
        has_linear, has_centroids = self.linear is not None, self.centroids is not None
        classifier = Models(has_network, has_linear, has_centroids, False)
        models = {"classifier": classifier}
        if self.spec is not None and self.spec.encoder is not None:
            models["both"] = classifier._replace(encoder=True)
            models["encoder"] = Models(False, False, False, True)
        task = self.search.multilabel, weight, self.search.n_labels
        calibrations = {
            name: starting_calibration(which, *task) for name, which in models.items()
        }
        if not has_network and self.search.steered:
            # Linear classifiers alone have log-odds of nodes already.
            calibrations["classifier"] = Calibration()
        own_weight = weight if has_network else LINEAR_ALONE_WEIGHT
        return Mix(requested, own_weight, calibrations)

    def extend(self, codec: LabelCodec, Z: Rows) -> "Model":
        """Return the model with labels of which only the features are known.

        The codec is that of all labels (see `LabelCodec.extend`); Z has the features
        of those that are added, in rows of unit length.
        """
        sparse = sp.issparse(self.label_features)
        rows: list[Any] = [self.label_features, in_form(Z, sparse)]
        Z = sp.vstack(rows, format="csr") if sparse else np.concatenate(rows)
        return dataclasses.replace(self, codec=codec, label_features=Z)

    def grow(self) -> "Model":
        """Return the model whose search and network have all labels, to train them.

        Labels that came later start as the network's median label; in the centroids'
        place are their features, if these are like those of samples.
        """
        if not self.n_late:
            return self
        assert self.spec is not None
        n_labels, head_sizes = self.codec.n_labels, self.codec.head_sizes
        head = self.spec.head.with_options(n_labels=n_labels, head_sizes=head_sizes)
        centroids = self.centroids
        if centroids is not None:
            rows = sp.csr_array((self.n_late, self.spec.n_features))
            if self.labels_are_like_samples:
                rows = sp.csr_array(self.late_features)
            centroids = centroids.extended(rows)
        grown = dataclasses.replace(
            self,
            search=head.search,
            spec=self.spec._replace(head=head),
            weights=with_more_labels(self.spec, self.weights, head),
            centroids=centroids,
        )
        if self.mix is None:
            return grown
        mix = grown.starting_mix(self.mix.linear_weight)
        mix = mix._replace(
            requested_weight=self.mix.requested_weight,
            of_log_odds=self.mix.of_log_odds,
        )
        return dataclasses.replace(grown, mix=mix)

    @own_torch_settings()
    def topk(
        self, X: Rows, k: int, settings: Settings, exact: bool = False
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the k best positions of each row and their log-probabilities.

        Both of shape (n, k), best first.
        """
        scoring = self._scoring(settings)
        threads = threads_for(scoring.multiply_adds(X))
        positions = np.empty((X.shape[0], k), dtype=np.int64)
        log_p = np.empty((X.shape[0], k), dtype=np.float32)
        n_scores = scoring.n_scores(k) + self.n_late

        def keep(rows: slice, scores: SumOfScores) -> None:
            best, found = scoring.search.topk(scores, k, exact)
            positions[rows] = best.cpu().numpy()
            log_p[rows] = found.cpu().numpy()

        with threads:
            scoring.for_blocks(X, n_scores, exact, keep)
        return positions, log_p

    @own_torch_settings()
    def of_all_labels(
        self, X: Rows, settings: Settings, give: Give, bounds: Bounds | None = None
    ) -> np.ndarray:
        """Return what a search gives of every label, in the labels' natural order.

        Float64 of shape (n, n_labels), limited to bounds. A row's result depends on
        the rows that come with it by no more than the rounding of float32.
        """
        scoring, positions = self._scoring(settings), self.codec.positions

        def finish(scores: AllScores, out: np.ndarray) -> None:
            found = give(scoring.search, scores)
            if bounds is not None:
                found.clamp_(*bounds)
            # A mode other than "raise" writes to `out` without a copy.
            np.take(found.numpy(), positions, axis=1, out=out, mode="clip")

        n_labels = self.codec.n_labels
        with threads_for(scoring.multiply_adds(X, n_labels)):
            return scoring.of_all_labels(X, n_labels, finish)

    @own_torch_settings()
    def above(self, X: Rows, threshold: float, settings: Settings) -> sp.csr_array:
        """Return the labels of more than a log-probability as a CSR indicator."""
        scoring, n_labels = self._scoring(settings), self.codec.n_labels
        pairs = [np.empty((2, 0), np.int64)]

        def keep(rows: slice, scores: SumOfScores) -> None:
            sample, position = scoring.search.above(scores, threshold)
            labels = self.codec.order[position.cpu().numpy()]
            pairs.append(np.stack([sample.cpu().numpy() + rows.start, labels]))

        with threads_for(scoring.multiply_adds(X, n_labels)):
            scoring.for_blocks(X, 4 * n_labels, True, keep)
        cells = tuple(np.concatenate(pairs, axis=1))
        indicator = sp.csr_array(
            (np.ones(len(cells[0]), dtype=np.int64), cells),
            shape=(X.shape[0], n_labels),
        )
        indicator.sort_indices()
        return indicator

    @own_torch_settings()
    def features(self, X: Rows, device: torch.device) -> np.ndarray:
        """Return the features that the head scores, float32 of shape (n, d)."""
        assert self.spec is not None
        network = network_from_weights(self.spec, self.weights, device)
        n = X.shape[0]
        with threads_for(n * network.multiply_adds(X.size / n)):
            return network_features(network, X)

    def _scoring(self, settings: Settings) -> Scoring:
        """Return what scores samples; that of the last call is kept."""
        kept = self._kept.get(settings)
        if kept is None:
            kept = self._assemble(settings)
            self._kept.clear()
            self._kept[settings] = kept
        return kept

    def _assemble(self, settings: Settings) -> Scoring:
        width = settings.beam_width or wide_beam(self.search.head_sizes)
        network = self._network(settings, width)
        search = self.search.with_beam_width(width)
        mix = self.mix
        if mix is None or mix.requested_weight != settings.linear_weight:
            mix = self.starting_mix(settings.linear_weight)
        has_encoder = network is not None and network.encoder is not None
        score_with = settings.score_with if has_encoder else "classifier"
        scorers: list[Scorer] = []
        if score_with == "encoder":
            search = FlatSearch(search.multilabel, search.n_labels)
        else:
            scorers += self._classifiers(search, network, settings, mix)
        if network is not None and score_with != "classifier":
            own_score = own_label_score(self.own_label_counts)
            Z = self.label_features
            scorers.append(LabelEncoderScorer(network, Z, search, own_score))
        if network is not None and self.n_late:
            scorers.append(self._late_labels(network, mix, score_with))
        if mix.of_log_odds is not None:
            search = CalibratedSearch(search, *mix.of_log_odds)
        combination = Combination(tuple(scorers), mix.calibrations[score_with])
        return Scoring(search, combination, network, settings.device)

    def _network(self, settings: Settings, beam_width: int) -> Network | None:
        """Return the network in evaluation mode, if there is one."""
        if self.spec is None:
            return None
        head = self.spec.head.with_options(beam_width=beam_width)
        spec = self.spec._replace(head=head)
        return network_from_weights(spec, self.weights, settings.device).eval()

    def _classifiers(
        self, search: Search, network: Network | None, settings: Settings, mix: Mix
    ) -> list[Scorer]:
        """Return the scorers of labels that have samples."""
        scorers: list[Scorer] = [] if network is None else [NetworkScorer(network)]
        if self.linear is not None:
            width, weight = settings.linear_beam_width, mix.linear_weight
            scorers.append(
                LinearScorer(self.linear, self.n_linear, search, width, weight)
            )
        if self.centroids is not None and network is not None:
            scale = network.centroid_scale.detach()
            assert isinstance(search, FlatSearch)
            scorers.append(CentroidScorer(self.centroids, scale, search))
        return scorers

    def _late_labels(
        self, network: Network, mix: Mix, score_with: str
    ) -> LateLabelScorer:
        """Return the scorer of labels that came later.

        Its constant is the score of the median label for a sample that says nothing
        of it: its linear classifier has a margin of 0, and so a loss of 1.
        """
        start = CENTROID_SCALES[self.search.multilabel]
        scale = network.head.biases[0].new_tensor(start)
        if score_with == "encoder":
            return LateLabelScorer(self.n_late, 0.0, scale)
        constant = sum(bias.median().item() for bias in network.head.biases)
        if self.linear is not None:
            constant -= mix.linear_weight
        if not self.labels_are_like_samples:
            return LateLabelScorer(self.n_late, constant, scale)
        if self.centroids is not None:
            scale = network.centroid_scale.detach()
        texts = self.late_features.T
        texts = sp.csr_array(texts) if sp.issparse(texts) else texts
        return LateLabelScorer(self.n_late, constant, scale, texts)
