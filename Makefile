# Thin: meson and ninja build, scripts/ does the rest.
PREFIX ?= /usr/local
FUZZ_SECONDS ?= 30

build: build/build.ninja
	@ninja -C build

build/build.ninja:
	@meson setup build --prefix $(PREFIX)

demo: bootstrap
	@$(MAKE) --no-print-directory build
	@scripts/demo

check: bootstrap
	@scripts/check

bench: bootstrap
	@$(MAKE) --no-print-directory build
	@bench/run

fuzz: bootstrap
	@scripts/fuzz $(FUZZ_SECONDS)

install: build
	@meson install -C build --no-rebuild

clean:
	@rm -rf build build-*

bootstrap:
	@scripts/bootstrap

.PHONY: build demo check bench fuzz install clean bootstrap
