"""A user's backbone on its own: the features that it makes as it is."""

from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
import torch

from skmhe.scorers.batch import to_tensor
from skmhe.scorers.device import own_torch_settings
from skmhe.scorers.generators import borrowed_generators
from skmhe.scorers.network import Weights, features_of_rows, weights_to_numpy
from skmhe.scorers.storage import compacted, restored, round_to_half
from skmhe.scorers.user_backbone import UserBackbone, UserModule


@dataclass(frozen=True, eq=False)
class BackboneFeatures:
    """How a backbone is made, and its weights, which are not trained."""

    user: UserBackbone
    weights: Weights
    # What was made for the last features, as that takes longer than those of a row;
    # nothing that is copied or written.
    _kept: dict[torch.device, UserModule] = field(
        default_factory=dict, init=False, repr=False
    )

    def __getstate__(self) -> dict[str, Any]:
        return compacted(self.__dict__ | {"_kept": {}})

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(restored(state))

    @classmethod
    @own_torch_settings()
    def of(cls, user: UserBackbone, X: np.ndarray, device: torch.device) -> Self:
        """Make a backbone, and see what it makes of samples."""
        with borrowed_generators():
            module = user.make()
            weights = weights_to_numpy(module)
            round_to_half(weights)  # as on disk, and in place: the module has the same
            made = cls(user.probed(module, X, device), weights)
        made._kept[device] = UserModule(made.user, module, freeze=True).eval()
        return made

    @property
    def n_features(self) -> int:
        """Number of features of a sample."""
        assert self.user.form is not None
        return self.user.form.out_features

    @own_torch_settings()
    def features(self, X: np.ndarray, device: torch.device) -> np.ndarray:
        """Return the features of each sample, float32 of shape (n, n_features)."""
        kept = self._kept.get(device)
        if kept is None:
            kept = self.module(device)
            self._kept.clear()
            self._kept[device] = kept
        return features_of_rows(kept, X, self.n_features, device)

    def module(self, device: torch.device) -> UserModule:
        """Return the module in evaluation mode."""
        with borrowed_generators():
            module = self.user.make_again()
        module.load_state_dict({n: to_tensor(a) for n, a in self.weights.items()})
        return UserModule(self.user, module, freeze=True).to(device).eval()
