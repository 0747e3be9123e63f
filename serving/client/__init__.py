"""Asks a server of an exported model, ours or TensorFlow Serving."""

from .client import AsyncClient, Client

__all__ = ["AsyncClient", "Client"]
