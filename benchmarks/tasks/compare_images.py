"""Compare images of characters: find missing ones, and fonts that are the same.

Needs NumPy only; the images are of one size, uint8, with 0 as the background.
"""

import numpy as np

# More characters than this with one and the same image are not drawn but stand for
# "missing": some fonts have a code point's entry and no glyph of its own behind it.
MAX_SHARED = 4
ALIKE = 0.98  # the cosine from which on two images are alike


def is_drawn(images, notdef):
    """Tell which images of one font show a character.

    Parameters
    ----------
    images : uint8 array of shape (n, side, side)
    notdef : uint8 array of shape (side, side)
        What the font draws for a character that it does not have.

    Returns
    -------
    drawn : bool array of shape (n,)
        False if the image is blank, or is ``notdef``, or more than MAX_SHARED
        characters have it.
    """
    flat = images.reshape(len(images), -1)
    _, inverse, counts = np.unique(
        flat, axis=0, return_inverse=True, return_counts=True
    )
    missing = (flat == notdef.reshape(-1)).all(axis=1)
    return flat.any(axis=1) & ~missing & (counts[inverse.reshape(-1)] <= MAX_SHARED)


def n_ambiguous(images):
    """Count the images that another character of the same font has, too."""
    flat = images.reshape(len(images), -1)
    counts = np.unique(flat, axis=0, return_counts=True)[1]
    return int(counts[counts > 1].sum())


def compare_fonts(by_font):
    """Return the shares of identical and of similar images for each pair of fonts.

    Parameters
    ----------
    by_font : uint8 array of shape (n_fonts, n_classes, ...)
        No image is blank.

    Returns
    -------
    identical, alike : float arrays of shape (n_fonts, n_fonts)
        The share of classes whose images are equal, and whose images have a cosine of
        at least ALIKE. The diagonals are 1.
    """
    flat = by_font.reshape(*by_font.shape[:2], -1)
    unit = flat.astype(np.float32)
    unit /= np.linalg.norm(unit, axis=2, keepdims=True)
    identical, alike = np.eye(len(flat)), np.eye(len(flat))
    for i in range(len(flat)):
        for j in range(i):
            equal = (flat[i] == flat[j]).all(axis=1)
            close = np.einsum("nd,nd->n", unit[i], unit[j]) >= ALIKE
            identical[i, j] = identical[j, i] = equal.mean()
            alike[i, j] = alike[j, i] = (equal | close).mean()
    return identical, alike
