"""The version comes from whoever builds: Headway sets HEADWAY_VERSION."""

import os

from setuptools import setup

setup(version=os.environ.get("HEADWAY_VERSION", "0.0.0"))
