#!/usr/bin/env bash
# Runs every fuzz target, or those that are named, for so many seconds each:
#   fuzz/run.sh [SECONDS [TARGET...]]
# What is found is written to fuzz/artifacts/TARGET/ and ends the run; `cargo fuzz run` with that file shows it again.
set -euo pipefail
cd "$(dirname "$0")"

seconds="${1:-60}"
targets=(path reference range manifest hash_state token config policy evidence credentials edge_config edge_names edge_events frames announcements)
if (($# > 1)); then
    targets=("${@:2}")
fi

if ! cargo fuzz --version >/dev/null 2>&1; then
    echo "nothing was fuzzed: cargo-fuzz is not installed; tests/install.sh installs it" >&2
    exit 1
fi
# Parsers without `unsafe` need no sanitizer, and without one a stable compiler will do.
options=(--fuzz-dir . --sanitizer none)
for target in "${targets[@]}"; do
    case $target in
        token) features=(--features service) ;;
        config | policy | evidence | credentials) features=(--features registry) ;;
        edge_*) features=(--features edge) ;;
        frames | announcements) features=(--features swarm) ;;
        *) features=() ;;
    esac
    mkdir -p "corpus/$target"
    echo "fuzzing $target for $seconds s" >&2
    log="$(mktemp)"
    if cargo fuzz run "${options[@]}" "${features[@]}" "$target" "corpus/$target" "seeds/$target" -- \
        -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 >"$log" 2>&1; then
        grep --text '^Done' "$log" >&2 || true
        rm -f "$log"
    else
        cat "$log" >&2
        rm -f "$log"
        exit 1
    fi
done
