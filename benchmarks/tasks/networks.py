"""Networks of the tasks with images."""

from torch import nn


class CharacterNet(nn.Module):
    """A small convolutional network for gray images (n, 1, 32, 32).

    Parameters
    ----------
    width : int, default=32
        Channels of the first layer; the next ones have twice as many each.
    n_features : int, default=256
        Features that come out.
    dropout : float, default=0.2
        Share of the features that is dropped in training.
    """

    def __init__(self, width=32, n_features=256, dropout=0.2):
        super().__init__()
        self.layers = nn.Sequential(
            *_layer(1, width, 5),
            *_layer(width, 2 * width, 3),
            *_layer(2 * width, 4 * width, 3),
            nn.Flatten(),
            nn.Linear(4 * width * 16, n_features, bias=False),
            nn.BatchNorm1d(n_features),
        )
        self.dropout = nn.Dropout(dropout)

    def forward(self, images):
        """Return features (n, n_features)."""
        return self.dropout(self.layers(images))


def _layer(n_inputs, n_outputs, size):
    """Return a convolution that halves the image."""
    conv = nn.Conv2d(n_inputs, n_outputs, size, stride=2, padding=size // 2, bias=False)
    return conv, nn.BatchNorm2d(n_outputs), nn.ReLU()
