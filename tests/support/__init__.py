"""Support for the tests: images made of real files, registries that behave, and one that does not."""
