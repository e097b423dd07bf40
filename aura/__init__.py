"""Aura Gateway. Imports nothing: gunicorn's master loads the package before it is patched."""

__version__ = "26.11.0"
