"""Networks without linear classifiers, which would hide what its parameters do."""

from estimator_problems import make, make_data


def network_alone(cls, strategy="cascade", **params):
    base = {
        "model": "network",
        "label_order": "natural",
        "learning_rate": "constant",
        "hidden_layer_sizes": (8,),
        "max_iter": 2,
    }
    return make(cls, strategy, **(base | params))


def fit(cls, strategy="cascade", **params):
    return network_alone(cls, strategy, **params).fit(*make_data(cls))


def weights(clf):
    return clf._fitted.model.weights
