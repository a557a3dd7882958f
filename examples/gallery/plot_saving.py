"""
Save a model, and load it elsewhere
===================================

``skmhe.io.save`` writes a fitted estimator, or a pipeline with its vectorizer, to one
file of arrays and JSON. Loading it runs no code, and it has no device: a model that was
fitted on a GPU predicts on a CPU.
"""

# %%
# Tags of a few texts:
import tempfile
import textwrap
from pathlib import Path

from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.pipeline import make_pipeline

import skmhe.io
from skmhe import MHEMultiLabelClassifier, predict_topk

texts = ["a tabby cat", "my old cat", "a barking dog", "an old dog", "two cats, a dog"]
tags = [["cat"], ["cat", "old"], ["dog"], ["dog", "old"], ["cat", "dog"]]
model = make_pipeline(TfidfVectorizer(), MHEMultiLabelClassifier(random_state=0))
model.fit(texts, tags)

# %%
# A file is complete or not there: it takes its name once all of it is on the disk.
# What it claims is checked before it is loaded.
folder = tempfile.TemporaryDirectory()
path = Path(folder.name, "tags.safetensors")
skmhe.io.save(model, path)
print(f"{path.stat().st_size / 1024:.0f} KiB")
loaded = skmhe.io.load(path)
print(loaded)

# %%
# The same predictions:
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

# %%
# A damaged file is refused:
content = bytearray(path.read_bytes())
content[-1] ^= 1
path.write_bytes(content)
try:
    skmhe.io.load(path)
except ValueError as error:
    print(textwrap.fill(str(error).replace(str(path), path.name), 80))

# %%
# Large models stay in their file with ``load(path, mmap=True)``, which processes share.
# Other transformers than those of text in a pipeline are for ``pickle`` or ``joblib``,
# which run what a file says: load such files of your own only.
folder.cleanup()
