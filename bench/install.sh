#!/bin/sh
# Installs the peers that the benchmark starts, and the S3 server behind them, by name. Skips what is there already.
#   bench/install.sh            all of them
#   bench/install.sh NAME...    of: distribution docker-registry nginx versitygw strace
set -eu

DISTRIBUTION=github.com/distribution/distribution/v3/cmd/registry@v3.1.2
VERSITYGW=github.com/versity/versitygw/cmd/versitygw@v1.8.0
PATH="$PATH:${GOBIN:-${GOPATH:-$HOME/go}/bin}:/usr/sbin"

have() { command -v "$1" >/dev/null 2>&1; }

with_apt() { # PROGRAM PACKAGE
    have "$1" && return
    have apt-get || { echo "bench/install.sh: $1 is missing and there is no apt-get; install it by hand" >&2; exit 1; }
    as_root=""
    [ "$(id -u)" = 0 ] || as_root=sudo
    $as_root apt-get install -y --no-install-recommends "$2"
}

with_go() { # PROGRAM MODULE@VERSION
    have "$1" && return
    have go || { echo "bench/install.sh: $1 is missing and there is no Go to build it with; install Go" >&2; exit 1; }
    CGO_ENABLED=0 go install "$2"
}

[ $# -gt 0 ] || set -- distribution docker-registry nginx versitygw strace
for peer in "$@"; do
    case "$peer" in
    distribution) with_go registry "$DISTRIBUTION" ;;
    versitygw) with_go versitygw "$VERSITYGW" ;;
    docker-registry) with_apt docker-registry docker-registry ;;
    nginx) with_apt nginx nginx-light ;; # it has the slice module, which the edge's cases need
    strace) with_apt strace strace ;;
    *) echo "bench/install.sh: no peer is called $peer" >&2; exit 2 ;;
    esac
done
