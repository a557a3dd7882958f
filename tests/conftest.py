"""Settings of all tests."""

from hypothesis import settings

# Speed is measured in benchmarks/, never asserted: no test fails for a slow machine.
settings.register_profile("skmhe", deadline=None)
settings.load_profile("skmhe")
