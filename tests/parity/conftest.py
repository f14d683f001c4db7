from hypothesis import settings

# `pytest tests/parity --hypothesis-profile=thorough` looks at many more histories; see feature_histories.examples.
settings.register_profile("thorough")
