"""skops, which also writes files that run no code, takes the estimators as they are."""

import numpy as np
import pytest
import scipy.sparse as sp
from saved_models import assert_same, make, make_data

skops = pytest.importorskip("skops.io")


@pytest.mark.parametrize("multilabel", [False, True], ids=["single", "multi"])
def test_skops(multilabel, tmp_path):
    X, y = make_data(multilabel)
    clf = make(multilabel, "cascade").fit(X, y)
    skops.dump(clf, tmp_path / "model.skops")
    types = skops.get_untrusted_types(file=tmp_path / "model.skops")
    others = {name for name in types if not name.startswith("skmhe.")}
    assert len(types) > len(others)
    assert others <= {"numpy.dtype", "scipy.sparse._csr.csr_array"}
    loaded = skops.load(tmp_path / "model.skops", trusted=types)
    assert_same(clf, loaded, X)
    assert sp.issparse(loaded.predict(X)) == multilabel
    assert np.isfinite(loaded.predict_proba(X)).all()
