"""A tree whose last head has one softmax over all labels."""

import torch
import torch.nn.functional as F

from skmhe.nn.heads._tree import TreeHead


class JointSoftmax(TreeHead):
    """Single-label training with hard negatives; see `CascadeHead`."""

    def _joint_losses(self, features, weights, targets):
        """Return the sum of the levels' cross-entropies, shape (n,).

        Each among the children of the true prefix, which come first, and of the best
        others.
        """
        n, device = len(features), features.device
        scores = self._first_scores(features, weights)
        nodes = torch.arange(scores.shape[1], device=device).expand(n, -1)
        places = targets // self.labels_per_node[0]
        losses = F.cross_entropy(scores, places, reduction="none")
        for level in range(1, len(self.head_sizes)):
            true = places[:, None]
            others = scores.detach().scatter(1, true, -torch.inf)
            width = min(self.beam_width, scores.shape[1] - 1)
            best, kept = others.topk(width, dim=1)
            prefixes = nodes.gather(1, torch.cat([true, kept], dim=1))
            nodes, scores = self._expand(features, weights, level, prefixes)
            # Where there are too few others, the true prefix comes again.
            missing = F.pad(best == -torch.inf, (1, 0))
            missing = missing.repeat_interleave(self.head_sizes[level], dim=1)
            scores = scores.masked_fill(missing, -torch.inf)
            places = targets // self.labels_per_node[level] % self.head_sizes[level]
            losses = losses + F.cross_entropy(scores, places, reduction="none")
        return losses

    def _expand(self, features, weights, level, prefixes):
        """Return the children of each sample's prefixes and their scores.

        Both of shape (n, n_prefixes * L_level).
        """
        n, n_prefixes = prefixes.shape
        samples = torch.arange(n, device=prefixes.device)
        scores = self._child_scores(
            features,
            weights,
            level,
            samples.repeat_interleave(n_prefixes),
            prefixes.flatten(),
        )
        digits = torch.arange(self.head_sizes[level], device=prefixes.device)
        nodes = prefixes[:, :, None] * len(digits) + digits
        return nodes.flatten(1), scores.view(n, n_prefixes * len(digits))

    def _joint_log_prob(self, features, weights):
        level = len(self.head_sizes) - 1
        scores = self._all_child_scores(features, weights, level)
        scores = scores.flatten(1)[:, : self.n_labels]
        return self._with_added(scores).log_softmax(1)

    def _joint_beam(self, features, weights, k):
        """Return the best labels below the beam, and their share of what is there."""
        scores = self._first_scores(features, weights)
        n, device = len(features), scores.device
        nodes = torch.arange(scores.shape[1], device=device).expand(n, -1)
        for level in range(1, len(self.head_sizes)):
            if self._width(k) < scores.shape[1]:
                kept = scores.topk(self._width(k), dim=1).indices
                nodes = nodes.gather(1, kept)
            nodes, scores = self._expand(features, weights, level, nodes)
        scores = self._with_added(scores)
        n_added = scores.shape[1] - nodes.shape[1]
        added = self.n_labels + torch.arange(n_added, device=device)
        nodes = torch.cat([nodes, added.expand(n, -1)], dim=1)
        scores, kept = scores.log_softmax(1).topk(k, dim=1)
        return nodes.gather(1, kept), scores
