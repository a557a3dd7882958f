"""Parameters of users' networks by their names: what is frozen, and their rates."""

import math
from collections.abc import Callable, Iterable, Sequence
from fnmatch import fnmatchcase
from numbers import Real

from torch import nn

Patterns = str | Sequence[str]
# What is not trained: everything, what patterns match, or what a function finds.
Frozen = bool | Patterns | Callable[[nn.Module], Sequence[str]]
Rates = float | dict[str, float] | Callable[[nn.Module], dict[str, float]]

# What users pass a network as, and one of the labels alone.
OWN_ARGUMENT, LABELS_ARGUMENT = "backbone", "label_encoder__backbone"


def frozen_names(module: nn.Module, freeze: Frozen, of: str = OWN_ARGUMENT) -> set[str]:
    """Return the names of the parameters that `freeze` asks for.

    That is all or none of them, those that a function returns, or those whose names
    match patterns, each of which must match something. Errors name the argument `of`
    which it is a parameter.
    """
    names, argument = [name for name, _ in module.named_parameters()], f"{of}__freeze"
    if callable(freeze):
        found = set(freeze(module))
        _check_names(found, names, argument)
        return found
    if isinstance(freeze, bool):
        return set(names) if freeze else set()
    patterns = [freeze] if isinstance(freeze, str) else freeze
    return {n for pattern in patterns for n in _matching(pattern, names, argument)}


def _matching(pattern: str, names: list[str], argument: str) -> list[str]:
    found = [name for name in names if fnmatchcase(name, pattern)]
    if not found:
        raise ValueError(
            f"the pattern {pattern!r} of {argument} matches none of the network's "
            f"{len(names)} parameters, such as {', '.join(names[:5])}: use names of "
            "its named_parameters(), or patterns such as 'layers.0.*'."
        )
    return found


def freeze_parameters(module: nn.Module, freeze: Frozen, of: str) -> list[nn.Module]:
    """Keep parameters from training; return the modules that have no others.

    These must stay in evaluation mode, where they drop nothing and their statistics
    stay as they are.
    """
    frozen, resting = frozen_names(module, freeze, of), []
    for name, parameter in module.named_parameters():
        # Assigned, as parameters of lazy modules, which have no shape yet, allow that.
        parameter.requires_grad = parameter.requires_grad and name not in frozen
    for name, part in module.named_modules():
        own = {name for name, _ in part.named_parameters(prefix=name)}
        if own and own <= frozen:
            resting.append(part)
    return resting


def rates_by_name(
    module: nn.Module, rates: Rates | None, of: str = OWN_ARGUMENT
) -> dict[str, float]:
    """Return {parameter name: learning rate} of those that have one of their own.

    The rates are one for all, {pattern of names: rate}, whose last match counts, or a
    function that returns one for all, or the result. Errors name the argument `of`
    which they are a parameter.
    """
    names = [name for name, _ in module.named_parameters()]
    if rates is None:
        return {}
    argument = f"{of}__learning_rate"
    given = rates(module) if callable(rates) else rates
    by_pattern = given if isinstance(given, dict) else {"*": given}
    # What a function returns are names, not patterns.
    has_names = callable(rates) and by_pattern is given
    if has_names:
        _check_names(by_pattern, names, argument)
    found: dict[str, float] = {}
    for pattern, rate in by_pattern.items():
        if not (isinstance(rate, Real) and 0 < rate < math.inf):
            raise ValueError(
                f"{argument}={given!r} must have finite rates above 0, but has {rate!r}"
                f": name what is not to be trained in {of}__freeze."
            )
        named = [pattern] if has_names else _matching(pattern, names, argument)
        found |= dict.fromkeys(named, float(rate))
    return found


def _check_names(found: Iterable[str], names: list[str], argument: str) -> None:
    """Raise ValueError unless a user's function has returned names of parameters."""
    unknown = [name for name in found if name not in names]
    if unknown:
        raise ValueError(
            f"the function {argument} returned {unknown[0]!r}, which is none of the "
            f"network's {len(names)} parameters, such as {', '.join(names[:5])}: "
            "return names of its named_parameters()."
        )
