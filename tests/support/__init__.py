"""Support for the tests: images made of real files, registries, and one that lies."""
