"""The table of parameters in the user guide, from the table in the source.

python tests/repository/parameter_table.py    # write it to the guide anew
"""

import itertools
import re
import sys
from pathlib import Path

from torch import nn

from skmhe import Backbone, LabelEncoder, MHEClassifier
from skmhe.estimators.resolution import make_setting
from skmhe.estimators.setting import LINEAR, NETWORK, SEVERAL_HEADS, SUMS
from skmhe.estimators.strategies import STRATEGIES
from skmhe.estimators.table import check_contradictions

sys.path.append(str(Path(__file__).parents[1] / "estimators"))
from table_rows import is_used, parameters_of

GUIDE = Path(__file__).parents[2] / "docs" / "user_guide.md"
PLACE = re.compile(r"(<!-- parameters -->\n)(.*?)(<!-- end -->)", re.DOTALL)
MODELS = {"linear": "L", "network": "N", "both": "B"}
# What can be seen from the letters.
SHOWN_BY_LETTERS = (
    ', with ``model="both"`` or ``model="network"``',
    *(condition.clause for condition in (NETWORK, LINEAR, SEVERAL_HEADS, SUMS)),
    ', and not with ``model="linear"``',
    ', and not with "product"',
    " (see Notes)",
)
# Where they have an effect in one of these settings, parameters are used.
VALUES = (
    {},
    {"early_stopping": True, "label_encoder": LabelEncoder(n_shortlisted=1)},
    {"backbone": Backbone(nn.Linear(2, 2))},
)
N_LEVELS = (1, 2)  # without and with a tree of linear classifiers


def settings():
    """Yield the settings without contradictions."""
    for (
        strategy,
        model,
        values,
        n_levels,
        multilabel,
        with_features,
    ) in itertools.product(
        STRATEGIES.values(), MODELS, VALUES, N_LEVELS, (False, True), (False, True)
    ):
        setting = make_setting(
            MHEClassifier(model=model, **values),
            strategy(),
            n_labels=10,
            n_tree_levels=n_levels,
            multilabel=multilabel,
            n_label_features=0 if with_features else None,
        )
        try:
            check_contradictions(setting)
        except ValueError:
            continue
        yield setting


def condition(name, rows):
    """Return when a parameter is used, as far as the letters do not say it."""
    clause = rows[name].used.clause or rows[name.partition("__")[0]].used.clause
    for shown in SHOWN_BY_LETTERS:
        clause = clause.replace(shown, "")
    return clause.replace("``", "`")


def parameter_table():
    """Return the table in Markdown."""
    models, conditions = {}, {}
    for setting in settings():
        rows = dict(parameters_of(setting))
        for name in rows:
            conditions.setdefault(name, condition(name, rows))
            letters = models.setdefault(name, dict.fromkeys(STRATEGIES, ""))
            letter = MODELS[setting.values["model"]]
            seen = letters[setting.strategy.name]
            if is_used(name, setting) and letter not in seen:
                letters[setting.strategy.name] += letter
    lines = [f"| parameter | {' | '.join(STRATEGIES)} | only used |"]
    lines.append("|---" * (len(STRATEGIES) + 2) + "|")
    parents = [name.partition("__")[0] for name in models]
    order = {parent: i for i, parent in enumerate(dict.fromkeys(parents))}
    for name in sorted(models, key=lambda n: ("__" in n, order[n.partition("__")[0]])):
        cells = [letters or "-" for letters in models[name].values()]
        lines.append(f"| `{name}` | {' | '.join(cells)} | {conditions[name]} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    text = GUIDE.read_text(encoding="utf-8")
    text = PLACE.sub(lambda m: m[1] + parameter_table() + m[3], text)
    GUIDE.write_text(text, encoding="utf-8")
