"""
Save a model, and load it elsewhere
===================================

A fitted estimator is NumPy arrays and Python objects, without a device: a model that
was fitted on a GPU predicts on a CPU. ``joblib`` compresses it, and a pipeline is
stored with its vectorizer.
"""

# %%
# Tags of a few texts:
import tempfile
from pathlib import Path

import joblib
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.pipeline import make_pipeline

import skmhe
from skmhe import MHEMultiLabelClassifier, predict_topk

texts = ["a tabby cat", "my old cat", "a barking dog", "an old dog", "two cats, a dog"]
tags = [["cat"], ["cat", "old"], ["dog"], ["dog", "old"], ["cat", "dog"]]
model = make_pipeline(TfidfVectorizer(), MHEMultiLabelClassifier(random_state=0))
model.fit(texts, tags)

# %%
# The version goes in as well: pickles of one version need not load with another.
with tempfile.TemporaryDirectory() as folder:
    path = Path(folder) / "tags.joblib"
    joblib.dump({"model": model, "skmhe": skmhe.__version__}, path, compress=3)
    print(f"{path.stat().st_size / 1024:.0f} KiB")
    stored = joblib.load(path)
print("stored with skmhe", stored["skmhe"])

# %%
# The same predictions. (Load files of your own only: pickles run code.)
loaded = stored["model"]
labels, probabilities = predict_topk(loaded, ["an old tabby cat"], k=2)
print(labels, probabilities.round(2))
expected, same = predict_topk(model, ["an old tabby cat"], k=2)
print((labels == expected).all(), (probabilities == same).all())

# %%
# Parameters that only concern predictions may be changed after loading, such as the
# weights of what is added up.
print(loaded[-1].combination_)
loaded[-1].set_params(combination={"network": 1, "linear": 2})
print(loaded.predict(["an old tabby cat"]))
