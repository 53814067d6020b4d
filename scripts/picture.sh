#!/usr/bin/env bash
# Draws docs/session.svg, the picture in README.md: plays a session with the programs as they are
# now, and draws what its two people see. Times, ports and keys are other ones each time.
set -euo pipefail
cd "$(dirname "$0")/.."

cargo build --locked --bins
TZ=UTC cargo run --locked --package letschat-server --example session_picture -- docs/session.svg
