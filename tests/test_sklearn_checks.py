"""scikit-learn's own checks, for both estimators, every strategy and model."""

import pytest
from sklearn.utils.estimator_checks import (
    check_param_validation,
    parametrize_with_checks,
)

from skmhe import MHEClassifier, MHEMultiLabelClassifier

ESTIMATORS = [
    MHEClassifier(strategy="cascade", random_state=0),
    MHEClassifier(strategy="product", random_state=0),
    MHEClassifier(strategy="sampling", random_state=0),
    MHEClassifier(strategy="full", random_state=0),
    MHEClassifier(strategy="cascade", model="linear", random_state=0),
    MHEMultiLabelClassifier(strategy="cascade", random_state=0),
    MHEMultiLabelClassifier(strategy="product", random_state=0),
    MHEMultiLabelClassifier(strategy="sampling", random_state=0),
    MHEMultiLabelClassifier(strategy="full", random_state=0),
    MHEMultiLabelClassifier(strategy="full", model="linear", random_state=0),
]

# A sample of weight 2 and a sample that occurs twice give the same network only if
# all samples are in one batch, there is no dropout, and rounding does not matter;
# the checks compare float32 results to 1e-7.
REASON = "minibatches of float32: equal in expectation, not to 1e-7"


def expected_failures(estimator):
    return {
        "check_sample_weight_equivalence_on_dense_data": REASON,
        "check_sample_weight_equivalence_on_sparse_data": REASON,
    }


@parametrize_with_checks(ESTIMATORS, expected_failed_checks=expected_failures)
def test_sklearn_checks(estimator, check):
    check(estimator)


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=str)
def test_parameter_validation(estimator):
    # parametrize_with_checks leaves this one out.
    check_param_validation(type(estimator).__name__, estimator)
