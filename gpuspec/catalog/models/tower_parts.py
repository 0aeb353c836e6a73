"""Parts that towers are made of: their parameters, and the tokens of an image."""

from gpuspec.catalog.models.reading import Config

SIDE = 1024
"""Side in pixels of the image whose tokens are counted: about a megapixel."""


def block(width: int, ffn: int, biases: bool = True, gated: bool = False) -> int:
    """Parameters of a layer of a tower without its norms: four projections and an MLP."""
    matrices = 3 if gated else 2
    bias = 4 * width + (matrices - 1) * ffn + width if biases else 0
    return 4 * width * width + matrices * width * ffn + bias


def linear(into: int, out: int, bias: bool = True) -> int:
    """Parameters of a projection."""
    return into * out + bias * out


def merged(patch: int, merge: int) -> int:
    """Tokens of the image, one for a square of merged patches."""
    side = -(-SIDE // max(patch * merge, 1))
    return side * side


def patches(vision: Config, width: int, patch: int, times: int = 1) -> int:
    """Parameters that make a patch of so many frames a vector, without a bias."""
    return vision.count("in_channels", "in_chans", "num_channels", default=3) * (
        times * patch * patch * width
    )


def side_of(vision: Config, key: str, default: int) -> int:
    """Return a side that some files state once and others for each direction."""
    value, _ = vision.found((key,), default)
    if isinstance(value, list) and value:
        value = value[0]
    if type(value) is not int or not 1 <= value <= 1_000_000:
        raise vision.error(key, value, "a side in pixels is needed")
    return value
