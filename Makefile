# The two main commands: `make chat` opens a chat, `make test` runs all tests.

PROFILE ?= release
DATA ?=
PORT ?=

cargo_profile = $(if $(filter release,$(PROFILE)),--release)
# Cargo's build folder: CARGO_TARGET_DIR, or the one in cargo's settings. Evaluated only where it is needed.
target = $(or $(shell cargo metadata --no-deps --offline --format-version 1 2>/dev/null \
	| sed -n 's/.*"target_directory":"\([^"]*\)".*/\1/p'),target)
binaries = $(target)/$(if $(filter release,$(PROFILE)),release,debug)

# Lua's virtual machine is C++. Its library is linked statically where the machine has a static one: a shared one
# uses more memory and would have to be installed.
ifneq ($(filter /%,$(shell $(CXX) -print-file-name=libstdc++.a 2>/dev/null)),)
export CXXSTDLIB := static:-bundle=stdc++
endif

.PHONY: help build chat gtk stop run demo demo-local demo-cluster test lint bench bench-quick bench-build fuzz chaos \
	install install-gtk uninstall deb gtk-tools check-tools clean

help: ## Show this help.
	@awk -F':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build: ## Build server and client into target/release.
	cargo build --locked $(cargo_profile) --bins

chat: build ## Open a client, and start a server on this machine if none answers.
	@PORT=$(PORT) DATA=$(DATA) scripts/chat.sh open "$(binaries)"

gtk: gtk-tools ## Build the client in a window, letschat-gtk, into target/release; installs or names what it needs.
	cargo build --locked $(cargo_profile) --package letschat-gtk

stop: ## Stop the server that `make chat` started.
	@PORT=$(PORT) scripts/chat.sh stop

run: build ## Start a server on TCP and UDP 4400, with SQLite in its data folder. Ctrl+C ends it.
	"$(binaries)/letschat-server" $(if $(DATA),--data $(DATA)) $(if $(PORT),--port $(PORT))

install: ## Install the programs below PREFIX (/usr/local), inside DESTDIR; builds them if they are missing.
	@[ -x "$(target)/release/letschat-server" ] || $(MAKE) --no-print-directory build PROFILE=release
	PREFIX="$(PREFIX)" DESTDIR="$(DESTDIR)" scripts/install.sh "$(target)/release" letschat letschat-server

install-gtk: ## The same for letschat-gtk, with its entry in the desktop's menu.
	@[ -x "$(target)/release/letschat-gtk" ] || $(MAKE) --no-print-directory gtk PROFILE=release
	PREFIX="$(PREFIX)" DESTDIR="$(DESTDIR)" scripts/install.sh "$(target)/release" letschat-gtk

uninstall: ## Remove what `make install` and `make install-gtk` installed. Settings, keys and data stay.
	PREFIX="$(PREFIX)" DESTDIR="$(DESTDIR)" scripts/install.sh --remove

deb: gtk-tools ## Build a Debian package of each program, with an SBOM beside it, into target/package/debian.
	scripts/deb.sh "$(target)/package"

demo: ## Play the demo with three clients and a server, in containers; see README.md.
	@scripts/demo.sh containers

demo-local: build ## The same without Docker: with processes and SQLite.
	@scripts/demo.sh local "$(binaries)"

demo-cluster: ## Play the demo of three servers, of which one is killed, in containers.
	@scripts/demo.sh cluster

test: check-tools ## Run every test, and the demo.
	@# Before the tests, whose time is limited: the first of them would build the programs.
	cargo build --locked --workspace --bins
	scripts/deadline.sh cargo test --locked --workspace
	@scripts/demo.sh local "$(target)/debug"

lint: gtk-tools ## Check the format, the lints and the dependencies.
	cargo fmt --all --check
	cargo clippy --locked --workspace --all-targets -- -D warnings
	scripts/check-dependencies.sh

bench: bench-build ## Measure the performance, in some ten minutes; see docs/PERFORMANCE.md.
	"$(target)/release/letschat-bench" $(BENCH)

bench-quick: bench-build ## The same with fewer clients, within one minute.
	"$(target)/release/letschat-bench" --quick $(BENCH)

bench-build:
	cargo build --locked --release --workspace --exclude letschat-gtk --bins

fuzz: ## Run every fuzzer for a minute (SECONDS_EACH=60); installs cargo-fuzz if it is missing.
	scripts/fuzz.sh

chaos: check-tools ## Play every fault in full, in half an hour, and print a table of the results.
	scripts/chaos.sh

gtk-tools:
	@scripts/install-tools.sh pkg-config pc:gtk4:libgtk-4-dev pc:libadwaita-1:libadwaita-1-dev

check-tools: gtk-tools ## Check for the programs and libraries that the tests use, and install missing ones.
	@scripts/install-tools.sh Xvfb:xvfb dbus-daemon /usr/libexec/at-spi2-registryd:at-spi2-core xdotool
	@scripts/install-tools.sh openssl ncat python3 strace faketime ip:iproute2 nft:nftables
	@command -v valkey-server >/dev/null || command -v redis-server >/dev/null || scripts/install-tools.sh redis-check-rdb:redis-tools
	@[ -n "$$LETSCHAT_TEST_MYSQL" ] || scripts/throwaway-mysql.sh --check \
		|| scripts/install-tools.sh mariadbd:mariadb-server-core my_print_defaults:mariadb-client-core

clean: ## Remove all build output.
	cargo clean
