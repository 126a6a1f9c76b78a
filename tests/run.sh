#!/usr/bin/env bash
# Runs every test, and installs what they need on a fresh Debian or Ubuntu machine with cargo.
#
#   tests/run.sh             all tests
#   tests/run.sh run::       only those whose name holds `run::`
#
# The tests on real hosts need root and Linux namespaces. Where these are missing they are left out, which is said in
# one line, and count as skipped.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

need=()
command -v cc >/dev/null || need+=(build-essential)
command -v git >/dev/null || need+=(git)
command -v python3 >/dev/null || need+=(python3)
command -v ssh-keygen >/dev/null || need+=(openssh-client)
[ -x /usr/sbin/sshd ] || need+=(openssh-server)
command -v sudo >/dev/null || need+=(sudo)
if [ ${#need[@]} -gt 0 ]; then
    [ "$(id -u)" = 0 ] || { echo "tests/run.sh: install first: apt-get install ${need[*]}" >&2; exit 1; }
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${need[@]}" >/dev/null
fi

ignored=()
if why=$(tests/sandbox/sandbox check 2>&1); then
    tests/sandbox/sandbox setup
    ignored=(--include-ignored)
else
    echo "tests on real hosts are skipped: $why"
fi

cargo build --workspace --all-targets
status=0
cargo test --workspace --doc --quiet "$@" || status=$?
if cargo nextest --version >/dev/null 2>&1; then
    [ ${#ignored[@]} -eq 0 ] || ignored=(--run-ignored all)
    cargo nextest run --workspace --no-fail-fast "${ignored[@]}" "$@" || status=$?
else
    cargo test --workspace --all-targets --no-fail-fast "$@" -- "${ignored[@]}" || status=$?
fi
[ ${#ignored[@]} -eq 0 ] || tests/sandbox/sandbox sweep
exit $status
