"""What holds for the whole suite: how long random testing goes on, and helpers whose asserts explain themselves."""

import os

import pytest
from hypothesis import HealthCheck, settings

pytest.register_assert_rewrite("tests.attacks.refusals", "tests.factories.wires", "tests.factories.supervisors")

_COMMON = settings(deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("quick", _COMMON, max_examples=80, derandomize=True)
settings.register_profile("long", _COMMON, max_examples=5_000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "quick"))
