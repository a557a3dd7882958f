"""A fitted model: codes of labels, scorers, their combination and a search."""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sp
import torch

from skmhe.labels import LabelCodec
from skmhe.nn.calibrated_search import CalibratedSearch, CutSearch
from skmhe.nn.late_search import LateSearch
from skmhe.nn.scores import Search
from skmhe.nn.search import FlatSearch
from skmhe.nn.tree_search import wide_beam
from skmhe.scorers.centroids import Centroids
from skmhe.scorers.combination import (
    Calibration,
    Combination,
    Mix,
    Scorer,
    ScorerWeights,
    SumOfScores,
    prior_calibration,
)
from skmhe.scorers.device import own_torch_settings
from skmhe.scorers.label_encoder import LabelEncoderScorer, LabelTable
from skmhe.scorers.linear import LinearScorer, Scaling
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
from skmhe.scorers.parts import Samples, part_of, stacked
from skmhe.scorers.scoring import AllScores, Scoring
from skmhe.scorers.similarity import CentroidScorer, LabelSimilarityScorer
from skmhe.scorers.storage import compacted, restored
from skmhe.scorers.threads import threads_for
from skmhe.scorers.user_backbone import UserBackbone

# Returns what a search gives of all labels, shape (n, n_labels).
Give = Callable[[Any, AllScores], torch.Tensor]
Bounds = tuple[float, float]

# What the scale of the similarities to centroids is before training, by whether a task
# is multi-label: near what it is after training, on samples of short texts.
CENTROID_SCALES = {False: 20.0, True: 5.0}
# Labels per sample that late labels are taken to have where training has seen none.
LEAST_PER_SAMPLE = 1e-6


class Settings(NamedTuple):
    """What may be changed after fitting."""

    beam_width: int | None = None  # of the search for labels; None: `wide_beam`
    linear_beam_width: int = 10  # of the linear classifiers' own tree
    weights: ScorerWeights | None = None  # None: what was learned, or else all 1
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
    scaling: Scaling | None = None  # of the samples, for the linear classifiers
    # If the network was trained to complete the similarity to them.
    centroids: Centroids | None = None
    # Weighted numbers of pairs of a sample and a label of it that training has seen,
    # and of samples; shape: (2,)
    pair_counts: np.ndarray = field(default_factory=lambda: np.ones(2))
    # Of all labels, as the label encoder takes them; rows of unit length, if it adds
    # them up.
    label_features: Samples | None = None
    # What the label encoder makes of them, where that takes long.
    label_table: LabelTable | None = None
    # Whether the linear classifiers could read features of labels, as they do samples.
    labels_are_like_samples: bool = False
    # See `count_own_labels`; shape: (2,)
    own_label_counts: np.ndarray = field(default_factory=lambda: np.zeros(2, int))
    mix: Mix | None = None  # what was learned, if anything was
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
    def label_network(self) -> UserBackbone | None:
        """The user's network that makes features of labels, if one does."""
        return None if self.spec is None else self.spec.label_network

    @property
    def scorer_names(self) -> tuple[str, ...]:
        """Names of the scorers whose scores are added up, as in `ScorerWeights`."""
        encoder = None if self.spec is None else self.spec.encoder
        exists = (
            self.spec is not None,
            self.linear is not None,
            encoder is not None,
            encoder is not None and encoder.is_shared,
        )
        pairs = zip(ScorerWeights._fields, exists, strict=True)
        return tuple(name for name, there in pairs if there)

    @property
    def label_rows(self) -> Any:
        """Features of all labels, as the linear classifiers read those of samples."""
        return part_of(self.label_features, "linear")

    def weights_for(self, settings: Settings) -> ScorerWeights:
        """Return the weights that scores are added with, 0 for scorers that are not.

        Relative to the first one that is not 0: that of the network, mostly.
        """
        weights = settings.weights
        if weights is None:
            weights = ScorerWeights() if self.mix is None else self.mix.weights
        return self.normalized(weights)

    def combination(self, settings: Settings) -> dict[str, float]:
        """Return the same weights by the names of the scorers that there are."""
        weights = self.weights_for(settings)._asdict()
        return {name: weights[name] for name in self.scorer_names}

    def normalized(self, weights: ScorerWeights) -> ScorerWeights:
        """Return weights of the scorers that there are, in units of the first one."""
        missing = set(ScorerWeights._fields) - set(self.scorer_names)
        weights = weights._replace(**dict.fromkeys(missing, 0.0))
        unit = next(weight for weight in weights if weight)
        return ScorerWeights(*(weight / unit for weight in weights))

    def calibration_for(self, settings: Settings) -> Calibration:
        """Return what was learned for some weights, or else what is there before."""
        mix, weights = self.mix, self.weights_for(settings)
        if mix is not None and weights == self.weights_for(Settings()):
            learned = mix.calibrations.get(settings.score_with)
            if learned is not None:
                return learned
        weights = weights.of_part(settings.score_with)
        search, n_labels = self.search, self.codec.n_labels
        if settings.score_with == "encoder":  # it scores all labels, in no tree
            return prior_calibration(weights, search.multilabel, n_labels, False)
        task = search.multilabel, search.n_labels, search.steered, search.joint
        return prior_calibration(weights, *task)

    def extend(self, codec: LabelCodec, Z: Samples) -> "Model":
        """Return the model with labels of which only the features are known.

        The codec is that of all labels (see `LabelCodec.extend`); Z has the features
        of those that are added.
        """
        assert self.label_features is not None
        table = self.label_table and LabelTable(self.label_table.known)
        return dataclasses.replace(
            self,
            codec=codec,
            label_features=stacked(self.label_features, Z),
            label_table=table,
        )

    def embed_labels(self, settings: Settings) -> None:
        """Let a user's network see features of labels, which it may not take."""
        if self.label_table is not None:
            self._scoring(settings._replace(score_with="both"))

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
            assert isinstance(head.search, FlatSearch)
            rows = None
            if self.labels_are_like_samples:
                rows = self.label_rows[self.search.n_labels :]
            centroids = centroids.extended(rows, head.search)
        return dataclasses.replace(
            self,
            search=head.search,
            spec=self.spec._replace(head=head),
            weights=with_more_labels(self.spec, self.weights, head),
            centroids=centroids,
        )

    @own_torch_settings()
    def topk(
        self, X: Samples, k: int, settings: Settings
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the k best positions of each row and their log-probabilities.

        Both of shape (n, k), best first.
        """
        scoring = self._scoring(settings)
        return self._ranked(X, k, scoring, scoring.search, exact=False)

    @own_torch_settings()
    def best(self, X: Samples, settings: Settings) -> np.ndarray:
        """Return the best position of each row, shape (n,), whatever the beam is."""
        scoring = self._scoring(settings)
        return self._ranked(X, 1, scoring, scoring.ranking, exact=True)[0][:, 0]

    def _ranked(
        self, X: Samples, k: int, scoring: Scoring, search: Any, exact: bool
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return what a search finds: the k best positions, and log-probabilities."""
        positions = np.empty((X.shape[0], k), dtype=np.int64)
        log_p = np.empty((X.shape[0], k), dtype=np.float32)

        def keep(rows: slice, scores: SumOfScores) -> None:
            best, found = search.topk(scores, k, exact=exact)
            positions[rows] = best.cpu().numpy()
            log_p[rows] = found.cpu().numpy()

        n_scores = scoring.n_scores(k)
        with threads_for(scoring.multiply_adds(X)):
            scoring.for_blocks(X, n_scores, exact, keep)
        return positions, log_p

    @own_torch_settings()
    def of_all_labels(
        self, X: Samples, settings: Settings, give: Give, bounds: Bounds | None = None
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
    def above(self, X: Samples, threshold: float, settings: Settings) -> sp.csr_array:
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
    def features(self, X: Samples, device: torch.device) -> np.ndarray:
        """Return the features that the head scores, float32 of shape (n, d)."""
        assert self.spec is not None
        network = network_from_weights(self.spec, self.weights, device)
        rows = part_of(X, "network")
        n = rows.shape[0]
        with threads_for(n * network.multiply_adds(rows.size / n)):
            return network_features(network, rows)

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
        ranking: Any = self.search.with_beam_width(width)
        calibration = self.calibration_for(settings)
        if settings.score_with == "encoder":
            # The encoder makes no difference between labels.
            ranking = FlatSearch(ranking.multilabel, self.codec.n_labels)
        scorers, search = self._scorers(ranking, network, settings), ranking
        _, *of_log_odds, best_share = calibration
        if ranking.multilabel and of_log_odds != [1.0, 0.0, 0.0]:
            search = CalibratedSearch(ranking, *of_log_odds)
        elif best_share:
            search = CutSearch(ranking, best_share)
        if search.n_labels < self.codec.n_labels:
            # Probabilities decide how late labels rank among the others.
            n_pairs, n_samples = self.pair_counts.tolist()
            per_sample = max(n_pairs / n_samples, LEAST_PER_SAMPLE)
            search = LateSearch(search, self.n_late, per_sample)
            ranking = search
        combination = Combination(scorers, calibration.factor)
        return Scoring(search, ranking, combination, network, settings.device)

    def _network(self, settings: Settings, beam_width: int) -> Network | None:
        """Return the network in evaluation mode, if there is one."""
        if self.spec is None:
            return None
        head = self.spec.head.with_options(beam_width=beam_width)
        spec = self.spec._replace(head=head)
        return network_from_weights(spec, self.weights, settings.device).eval()

    def scorers(self, settings: Settings) -> tuple[Scorer, ...]:
        """Return the scorers whose scores are added up for some weights."""
        width = settings.beam_width or wide_beam(self.search.head_sizes)
        search = self.search.with_beam_width(width)
        return self._scorers(search, self._network(settings, width), settings)

    def _scorers(
        self, search: Search, network: Network | None, settings: Settings
    ) -> tuple[Scorer, ...]:
        scorers: list[Scorer] = []
        n_all = self.codec.n_labels
        has_late, asks_both = search.n_labels < n_all, settings.score_with == "both"
        weights = self.weights_for(settings).of_part(settings.score_with)
        if network is not None and weights.network:
            scorers.append(NetworkScorer(network))
        if self.linear is not None and weights.linear:
            how = settings.linear_beam_width, weights.linear, self.scaling
            scorers.append(LinearScorer(self.linear, self.n_linear, search, *how))
        if self.centroids is not None and network is not None and weights.network:
            scale = network.centroid_scale.detach()
            assert isinstance(search, FlatSearch)
            scorers.append(CentroidScorer(self.centroids, scale, search))
        if network is not None and network.encoder is not None:
            own_score = own_label_score(self.own_label_counts)
            has_own = bool(weights.own_labels and own_score)
            if weights.label_encoder or has_own or (has_late and asks_both):
                Z, embeddings = part_of(self.label_features, "network"), None
                if self.label_table is not None:
                    embeddings = self.label_table.embeddings(network, Z)
                of_labels = own_score, weights, embeddings
                scorers.append(LabelEncoderScorer(network, Z, search, *of_labels))
        told = any(scorer.scores_by_features for scorer in scorers)
        if has_late and (self.labels_are_like_samples or not told):
            assert network is not None
            scorers.append(self._label_similarities(network))
        return tuple(scorers)

    def _label_similarities(self, network: Network) -> LabelSimilarityScorer:
        """Return what compares samples with features of labels, if it can be done."""
        columns, scale = None, torch.tensor(CENTROID_SCALES[self.search.multilabel])
        if network.spec.centroid_scale is not None:
            scale = network.centroid_scale.detach()
        if self.labels_are_like_samples:
            rows = self.label_rows
            columns = sp.csr_array(rows.T) if sp.issparse(rows) else rows.T
        scale = scale.to(network.device)
        return LabelSimilarityScorer(self.codec.n_labels, scale, columns)
