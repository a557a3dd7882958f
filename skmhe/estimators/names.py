"""Names of parameters: what an unknown one may have meant, and where that is."""

import functools
import inspect
from collections.abc import Callable
from difflib import get_close_matches
from typing import Any, Self, TypeVar

from sklearn.base import BaseEstimator

from skmhe.estimators._sklearn import (
    InvalidParameterError,
    validate_parameter_constraints,
)
from skmhe.estimators.restore import objects_with_parameters, restored_on_error
from skmhe.estimators.table import PARENTS, TABLE

Init = TypeVar("Init", bound=Callable[..., None])

NAMES = {owner: [row.name for row in rows] for owner, rows in TABLE.items()}
HINTS = {(owner, row.name): row.hint for owner, rows in TABLE.items() for row in rows}
# How similar a name must be to be a misspelling, so that "beam" is "beam_width".
CUTOFF = 0.55
# And to be one of the same object's, whatever others are called.
LIKELY = 0.8
# Names of earlier versions and of other libraries, and what they are called here.
OTHER_NAMES = {
    "alpha": "backbone__weight_decay",
    "backbone_learning_rate": "backbone__learning_rate",
    "encoder_weight": "label_encoder__loss_weight",
    "epochs": "max_iter",
    "input_dropout": "dropout",
    "linear_weight": "combination",
    "lr": "learning_rate_init",
    "margin_scale": "strategy__margin",
    "margin_size": "strategy__margin",
    "n_epochs": "max_iter",
    "n_hard_negatives": "label_encoder__n_shortlisted",
    "n_pool_positives": "label_encoder__n_positives",
    "precision": "dtype",
    "scoring": "label_encoder__score_with",
    "seed": "random_state",
    "share_encoder": "label_encoder__backbone",
    "shared": "label_encoder__backbone",
}


def explained_names(init: Init) -> Init:
    """Decorate a constructor so that its errors say where a parameter is.

    The signature stays as it is, as scikit-learn reads parameters from it.
    """
    parameters = list(inspect.signature(init).parameters.values())[1:]
    takes_any = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters)
    known = {parameter.name for parameter in parameters}
    positional = [p.name for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD]

    @functools.wraps(init)
    def wrapper(self: Any, *args: Any, **params: Any) -> None:
        owner = type(self).__name__
        for name in [] if takes_any else [name for name in params if name not in known]:
            hint = hint_for(name, sorted(known))
            raise TypeError(f"{owner} has no parameter {name!r}: {hint}")
        if len(args) > len(positional):
            allowed = f"only {' and '.join(positional)}" if positional else "nothing"
            named = parameters[len(positional)].name
            raise TypeError(
                f"{owner} takes {allowed} without a name: write {named}=..., for "
                "example."
            )
        init(self, *args, **params)

    return wrapper  # type: ignore[return-value]


def hint_for(name: str, known: list[str]) -> str:
    """Return what to use in place of a name that is not among the known ones."""
    name = OTHER_NAMES.get(name, name)
    if name in known:
        return f"it is called {name!r}."
    parent, _, inner = name.rpartition("__")
    owners = [owner for owner, above in PARENTS.items() if parent in ("", above)]
    names = {own for owner in owners for own in NAMES[owner]}
    if name in NAMES["estimator"]:
        return "it is a parameter of the estimator."
    # What a module is called with is not in the table.
    if inner in names or parent == "backbone":
        return _use(inner, owners)
    choices = names if parent else names.union(known)
    by_lower = {choice.lower(): choice for choice in sorted(choices)}
    # Of equally similar ones, those of this object before those of others.
    own = get_close_matches(inner.lower(), known, 1, LIKELY)
    close = own or get_close_matches(inner.lower(), by_lower, 1, CUTOFF)
    if not close:
        return f"its parameters are {', '.join(sorted(known))}."
    meant = by_lower[close[0].lower()]
    use = "" if meant in known else f" U{_use(meant, owners)[1:]}"
    return f"did you mean {meant!r}?{use}"


def _use(name: str, owners: list[str]) -> str:
    """Return how to set a parameter of some of the parameter objects."""
    having = [owner for owner in owners if name in NAMES[owner]] or ["Backbone"]
    shown = [
        f"{PARENTS[owner]}={owner}({'module, ' * (owner == 'Backbone')}{name}=...)"
        for owner in having
    ]
    nested = dict.fromkeys(f"{PARENTS[owner]}__{name}" for owner in having)
    return (
        f"use {' or '.join(shown)}; its name in set_params and searches is "
        f"{' or '.join(nested)}."
    )


class Parameters(BaseEstimator):
    """Base class of what has parameters: its errors say what to use instead."""

    _parameter_constraints: dict[str, list[Any]]

    def set_params(self, **params: Any) -> Self:
        """Set parameters: all of them, or none if one of them is an error.

        Parameters
        ----------
        **params : dict
            Values by name.

        Returns
        -------
        self : object
            This object.
        """
        known = self.get_params(deep=False)
        for name in params:
            if name.partition("__")[0] not in known:
                raise ValueError(
                    f"Invalid parameter {name!r} for estimator {self}: "
                    + hint_for(name, list(known))
                )
        with restored_on_error(*objects_with_parameters(self, *params.values())):
            return super().set_params(**params)

    def _validate_params(self, argument: str = "") -> None:
        """Validate the parameters, one by one, to add a hint to the error.

        `argument` is what users pass an object of parameters as.
        """
        owner, values = type(self).__name__, self.get_params(deep=False)
        shown = f"{owner} ({argument})" if argument else owner
        for name, constraints in self._parameter_constraints.items():
            given = {name: values[name]}
            try:
                validate_parameter_constraints({name: constraints}, given, shown)
            except InvalidParameterError as error:
                is_object = owner in PARENTS or not hasattr(self, "fit")
                hint = HINTS.get((owner if is_object else "estimator", name))
                if not hint:
                    raise
                raise InvalidParameterError(f"{error} {hint}.") from None
