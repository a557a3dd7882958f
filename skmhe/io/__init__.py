"""Model files: safetensors with a description in JSON, which run no code."""

from skmhe.io.files import load, save

__all__ = ["load", "save"]
