.DEFAULT_GOAL := help
.PHONY: help run test build lint fmt cover bench bench-peers bench-scale torture soak powercut clean

NPX := npx --no-install

help: ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 18

# npm ci refuses a lock file that leaves out other platforms' binaries; install accepts it and keeps it as it is.
node_modules/.installed: package.json package-lock.json
	npm install --ignore-scripts --no-audit --no-fund
	@touch $@

build: node_modules/.installed ## compile to dist/, which is made anew
	@rm -rf dist
	@$(NPX) tsc -p .

run: build ## start a cache in .tagcache/, warm it with WARM (default /usr/share), read it back twice, compare
	@TAGCACHE_CONFIG=/dev/null node dist/cli/tagcache.cjs demo --dir .tagcache $(if $(WARM),--warm $(WARM)) $(if $(ONCE),--once)

lint: node_modules/.installed ## formatting and lint rules, the direction of imports among them
	@$(NPX) oxfmt --check engine index cli test
	@$(NPX) oxlint --type-aware engine index cli test

test: lint build ## lint, type-check, build, run all tests
	@command -v python3 > /dev/null || [ "$$(id -u)" != 0 ] || apt-get install -qq -y python3 > /dev/null || \
		echo "python3 could not be installed: tests of the clients in Python are skipped" >&2
	@node --enable-source-maps dist/test/run.js

fmt: node_modules/.installed ## format the sources in place
	@$(NPX) oxfmt engine index cli test

cover: node_modules/.installed ## line coverage of engine/ and index/, at least 90 %
	@$(NPX) c8 node --import tsx test/run.ts

bench: build ## measure against raw file operations, and Redis if it is there, under a minute
	@node dist/test/bench/run.js $(if $(JSON),--json $(JSON))

bench-peers: build ## install what users would pick instead, measure it too, write test/bench/RESULTS.md
	@test/bench/peers/install.sh
	@node dist/test/bench/peers.js $(if $(JSON),--json $(JSON))

bench-scale: build ## how start, wipe, memory and index grow to 4,000,000 blocks; some minutes, 1.5 GB in BENCH_DIR or /tmp
	@node dist/test/bench/scale.js

torture: build ## random changes of files for TORTURE_SECONDS (600), FLIPS (5000) flipped bits, 1,000 kills, a million hits and fuzz cases; or PARTS="files flips kills direct fuzz model faults"
	@node --enable-source-maps dist/test/torture/run.js $(PARTS)

soak: build ## a daemon under load, invalidation, resize, fsck and restarts for SOAK_SECONDS (1800); SOAK_JSON=FILE writes the report
	@node --enable-source-maps dist/test/soak/run.js

powercut: build ## cut the power at CUTS places (60) of real file systems; needs root, cc, /dev/fuse and loop devices
	@if command -v $(CC) > /dev/null; then \
		$(CC) -O2 -Wall -Wextra -o dist/test/crash/powercut/recording-disk test/crash/powercut/recording-disk.c; fi
	@node --enable-source-maps dist/test/crash/powercut/run.js

clean: ## remove what was built; the cache in .tagcache/ stays
	rm -rf dist coverage node_modules/.installed
