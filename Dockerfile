# Images of the server (the default) and, with --target client, of the client.
# docs/OPERATING.md explains how to run the server's image.

FROM rust:1.95-slim-bookworm AS builder
# Luau is written in C++, and the slim image compiles only C.
RUN apt-get update \
    && apt-get install -y --no-install-recommends g++ \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /letschat
# These build the libraries, too.
COPY scripts/build-release.sh scripts/install-crates.sh scripts/
# Of cargo's release profile. Tests may want images sooner.
ARG CARGO_PROFILE_RELEASE_LTO=thin
ARG CARGO_PROFILE_RELEASE_OPT_LEVEL=3
# Build the libraries first, without our code: this layer is cached until a manifest changes.
COPY .cargo .cargo
COPY Cargo.toml Cargo.lock ./
COPY protocol/Cargo.toml protocol/
COPY flags/Cargo.toml flags/
COPY server/Cargo.toml server/
COPY client/core/Cargo.toml client/core/
COPY client/engine/Cargo.toml client/engine/
COPY client/commands/Cargo.toml client/commands/
COPY client/lua/Cargo.toml client/lua/
COPY client/settings/Cargo.toml client/settings/
COPY client/terminal/Cargo.toml client/terminal/
COPY client/gtk/Cargo.toml client/gtk/
COPY tests/Cargo.toml tests/
COPY bench/Cargo.toml bench/
COPY fuzz/bodies/Cargo.toml fuzz/bodies/
COPY server/stand-ins/webpki/Cargo.toml server/stand-ins/webpki/
# This one is built with the libraries: mysql needs its code.
COPY server/stand-ins/webpki/src server/stand-ins/webpki/src
RUN for crate in protocol flags server client/core client/engine client/commands client/lua \
        client/settings client/terminal client/gtk tests bench fuzz/bodies; do mkdir $crate/src && touch $crate/src/lib.rs; done \
    && rm bench/src/lib.rs \
    && echo 'fn main() {}' | tee server/src/main.rs client/terminal/src/main.rs >bench/src/main.rs \
    && SOURCE_DATE_EPOCH=0 scripts/build-release.sh target letschat letschat-server \
    && cargo clean --release --package letschat-protocol --package letschat-flags \
        --package letschat-core --package letschat-engine --package letschat-commands \
        --package letschat-lua --package letschat-settings --package letschat-server --package letschat
COPY protocol protocol
COPY flags flags
COPY server server
COPY client client
# The documentation of `protocol`.
COPY docs/PROTOCOL.md docs/
COPY scripts/release-date.sh scripts/
COPY CHANGELOG.md ./
RUN scripts/build-release.sh target letschat letschat-server \
    && strip target/release/letschat target/release/letschat-server

FROM debian:bookworm-slim AS client
RUN useradd --uid 4401 --create-home --home-dir /var/lib/letschat --shell /usr/sbin/nologin letschat
COPY --from=builder /letschat/target/release/letschat /usr/local/bin/
COPY --from=builder /letschat/target/release/letschat.cdx.json /letschat/target/release/letschat.licenses /usr/local/share/doc/letschat/
USER letschat
ENV LETSCHAT_DATA=/var/lib/letschat/data
EXPOSE 4401/tcp
ENTRYPOINT ["letschat"]

# The client with the scripts of the three actors in docker-compose.yml, a file to send, and a folder for received ones.
FROM client AS demo
COPY lua /usr/local/share/letschat/lua
COPY docs/PROTOCOL.md /usr/local/share/letschat/docs/
RUN mkdir /var/lib/letschat/files

FROM debian:bookworm-slim AS server
RUN useradd --uid 4400 --no-create-home --shell /usr/sbin/nologin letschat-server \
    && install -d -m 700 -o letschat-server -g letschat-server /var/lib/letschat-server
COPY --from=builder /letschat/target/release/letschat-server /usr/local/bin/
COPY --from=builder /letschat/target/release/letschat-server.cdx.json /letschat/target/release/letschat-server.licenses \
    /usr/local/share/doc/letschat-server/
USER letschat-server
ENV LETSCHAT_SERVER_DATA=/var/lib/letschat-server
VOLUME /var/lib/letschat-server
EXPOSE 4400/tcp 4400/udp
# The check uses the server's own settings, from variables or a file.
HEALTHCHECK --interval=30s --timeout=5s --start-period=10s CMD ["letschat-server", "health"]
ENTRYPOINT ["letschat-server"]
