"""The constructor of both estimators, and short forms of parameter objects.

``strategy="cascade"`` is a short form of ``Cascade()``, for example. There is one
mechanism for all of them: `long_form` says what each parameter's short form stands for,
and `EstimatorParameters` replaces it by the object where a nested parameter
(``strategy__beam_width``) is set. Fitting asks `long_form`, and leaves the estimator's
parameters as they are.
"""

from collections import defaultdict
from typing import Any, Self

from sklearn.base import BaseEstimator

from skmhe.estimators._sklearn import ObjectOf
from skmhe.estimators.names import Parameters, explained_names
from skmhe.estimators.parameters import Backbone, LabelEncoder, LinearTree, as_backbone
from skmhe.estimators.restore import objects_with_parameters, restored_on_error
from skmhe.estimators.strategies import STRATEGIES, Strategy
from skmhe.estimators.table import PARENTS, constraints

# The parameters that hold objects, and the classes of these.
BASES: dict[str, type[BaseEstimator]] = {
    "strategy": Strategy,
    "linear": LinearTree,
    "label_encoder": LabelEncoder,
    "backbone": Backbone,
}


def long_form(estimator: BaseEstimator, name: str) -> Any:
    """Return the object that a parameter of an estimator stands for.

    None for the strategy "auto", and where there is no backbone.
    """
    value = getattr(estimator, name)
    if name == "strategy" and isinstance(value, str):
        return None if value == "auto" else STRATEGIES[value]()
    if name == "backbone":
        return as_backbone(value)
    if name in ("linear", "label_encoder") and value is None:
        return BASES[name]()
    return value


def _constraints() -> dict[str, list[Any]]:
    """Return the constraints of the estimators' parameters, by name."""
    result = constraints("estimator")
    for name, base in BASES.items():
        *others, last = [owner for owner, parent in PARENTS.items() if parent == name]
        shown = f"{', '.join(others)}{' or ' * bool(others)}{last}"
        result[name] = [*result[name], ObjectOf(base, shown)]
    return result


class EstimatorParameters(Parameters):
    """The parameters of both estimators."""

    _parameter_constraints = _constraints()

    @explained_names
    def __init__(
        self,
        strategy: Any = "auto",
        *,
        model: str = "both",
        effort: str = "balanced",
        n_heads: Any = "auto",
        head_sizes: Any = None,
        label_order: str = "cluster",
        linear: Any = None,
        label_encoder: Any = None,
        combination: Any = "learned",
        backbone: Any = None,
        hidden_layer_sizes: Any = "auto",
        dropout: Any = (0.0, 0.1),
        batch_size: Any = "auto",
        learning_rate: str = "linear",
        learning_rate_init: Any = "auto",
        max_iter: Any = "auto",
        class_weight: Any = None,
        early_stopping: Any = False,
        n_iter_no_change: int = 3,
        warm_start: bool = False,
        random_state: Any = None,
        verbose: Any = False,
        device: Any = "auto",
        dtype: str = "auto",
    ) -> None:
        self.strategy = strategy
        self.model = model
        self.effort = effort
        self.n_heads = n_heads
        self.head_sizes = head_sizes
        self.label_order = label_order
        self.linear = linear
        self.label_encoder = label_encoder
        self.combination = combination
        self.backbone = backbone
        self.hidden_layer_sizes = hidden_layer_sizes
        self.dropout = dropout
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.learning_rate_init = learning_rate_init
        self.max_iter = max_iter
        self.class_weight = class_weight
        self.early_stopping = early_stopping
        self.n_iter_no_change = n_iter_no_change
        self.warm_start = warm_start
        self.random_state = random_state
        self.verbose = verbose
        self.device = device
        self.dtype = dtype

    def set_params(self, **params: Any) -> Self:
        """Set parameters, also those of parameter objects.

        Parameters
        ----------
        **params : dict
            Values by name. Those of parameter objects have names such as
            ``strategy__beam_width`` or ``backbone__width``; a short form, such as
            ``strategy="cascade"``, is replaced by its object first.

        Returns
        -------
        self : object
            The estimator.

        Raises
        ------
        ValueError
            If there is no such parameter. Nothing is set then.
        """
        nested: dict[str, dict[str, Any]] = defaultdict(dict)
        plain = {}
        for name, value in params.items():
            parent, is_nested, inner = name.partition("__")
            if is_nested and parent in BASES:
                nested[parent][inner] = value
            else:
                plain[name] = value
        with restored_on_error(*objects_with_parameters(self, *params.values())):
            super().set_params(**plain)
            for parent, inner_params in nested.items():
                promoted = self._promoted(parent, inner_params)
                setattr(self, parent, promoted.set_params(**inner_params))
        return self

    def _get_params_html(self, deep: bool = True, *args: Any, **options: Any) -> Any:
        """Show parameter objects as they were set, not each of their parameters."""
        return super()._get_params_html(False, *args, **options)

    def _promoted(self, parent: str, inner_params: dict[str, Any]) -> Any:
        """Return the object whose parameters are to be set."""
        value = getattr(self, parent)
        # An estimator that makes modules, for example, has parameters of its own.
        if hasattr(value, "set_params") and not isinstance(value, type):
            return value
        is_name = parent == "strategy" and isinstance(value, str)
        exists = not is_name or value in STRATEGIES
        promoted = long_form(self, parent) if exists else None
        if not isinstance(promoted, BASES[parent]):
            given = ", ".join(f"{parent}__{name}" for name in inner_params)
            remedy = _remedy(parent, set(inner_params))
            if not exists and value != "auto":
                names = ", ".join(map(repr, STRATEGIES))
                remedy = f"there is no such strategy, but 'auto', {names}"
            raise ValueError(
                f"{given} was set, but {parent}={value!r} has no parameters: {remedy}."
            )
        return promoted

    def _validate_params(self, argument: str = "") -> None:
        """Validate the parameters, and those of parameter objects."""
        super()._validate_params(argument)
        for name in BASES:
            promoted = long_form(self, name)
            if promoted is not None:
                promoted._validate_params(name)


def _remedy(parent: str, names: set[str]) -> str:
    """Return what to pass so that there are parameters of some names."""
    if parent == "backbone":
        return (
            "pass a torch.nn.Module, or a class or function that makes one, as backbone"
        )
    if parent != "strategy":
        return f"pass {parent}=None, or a {BASES[parent].__name__}"
    fitting = [
        repr(strategy.name)
        for strategy in STRATEGIES.values()
        if names <= strategy._parameter_constraints.keys()
    ]
    if not fitting:
        known = {n: s for s, c in STRATEGIES.items() for n in c._parameter_constraints}
        return f"no strategy has such a parameter, of {', '.join(sorted(known))}"
    return f"pass strategy={' or '.join(fitting)} as well"
