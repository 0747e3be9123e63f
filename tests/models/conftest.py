"""What the tests of this folder set around themselves."""

import keras
import pytest


@pytest.fixture
def policy():
    """Sets the global dtype policy until the test ends."""
    before = keras.config.dtype_policy()
    yield keras.config.set_dtype_policy
    keras.config.set_dtype_policy(before)


@pytest.fixture(autouse=True)
def seeded():
    """Weights that are drawn are the same in every run."""
    keras.utils.set_random_seed(1)
