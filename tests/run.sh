#!/usr/bin/env bash
# Runs every test, and installs what they need on a fresh Debian or Ubuntu machine with cargo.
#
#   tests/run.sh             all tests
#   tests/run.sh run::       only those whose name holds `run::`
#
# The tests on real hosts need root and Linux namespaces, and the comparison with Salt needs Salt from PyPI. Where these are
# missing they are left out, which is said in one line, and count as skipped.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

need=()
command -v cc >/dev/null || need+=(build-essential)
command -v git >/dev/null || need+=(git)
command -v python3 >/dev/null || need+=(python3)
python3 -c 'import ensurepip' 2>/dev/null || need+=(python3-venv)
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

random=salt::random_
comparisons=("${random}trees_compile_as_salt_compiles_them" salt_runs::random_trees_run_as_salt_runs_them)
salt=()
if [[ ${comparisons[*]} == *"${1-}"* ]]; then
    if why=$(tests/salt/setup); then
        for name in "${comparisons[@]}"; do
            [[ $name != *"${1-}"* ]] || salt+=("$name")
        done
    else
        echo "the comparisons with Salt are skipped: $why"
    fi
fi

cargo build --workspace --all-targets
status=0
cargo test --workspace --doc --quiet "$@" || status=$?
if cargo nextest --version >/dev/null 2>&1; then
    [ ${#ignored[@]} -eq 0 ] || ignored=(--run-ignored all)
    cargo nextest run --workspace --no-fail-fast --no-tests pass "${ignored[@]}" "$@" -- --skip "$random" --skip salt_runs:: || status=$?
else
    cargo test --workspace --all-targets --no-fail-fast "$@" -- "${ignored[@]}" --skip "$random" --skip salt_runs:: || status=$?
fi
for name in "${salt[@]}"; do
    cargo test --package kstate --test kstate "$name" -- --exact --ignored --nocapture || status=$?
done
if [ $# = 0 ]; then
    KSTATE_FAULT_SCHEDULES=${KSTATE_FAULT_SCHEDULES-5000} KSTATE_PREDICTION_STATES=${KSTATE_PREDICTION_STATES-5000} \
        cargo test --package kstate-simulation -- --nocapture || status=$?
fi
[ ${#ignored[@]} -eq 0 ] || tests/sandbox/sandbox sweep
exit $status
