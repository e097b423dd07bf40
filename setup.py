"""Packaging lives in setup.cfg; this file lets tools that still ask for it find it."""

from setuptools import setup

setup()
