"""What every part of nnpmm stands on, and which stands on nothing of nnpmm but its errors."""

from nnpmm.core.locks import locked

__all__ = ["locked"]
