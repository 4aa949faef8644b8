#!/bin/sh
# Installs the peers that the benchmark starts, and the S3 server behind them, by name. Skips what is there already.
#   bench/install.sh            all of them
#   bench/install.sh NAME...    of: distribution docker-registry nginx versitygw strace
#   bench/install.sh kubernetes    etcd, kube-apiserver and kube-scheduler; takes minutes of two cores and 2 GiB of Go's module cache
set -eu

DISTRIBUTION=github.com/distribution/distribution/v3/cmd/registry@v3.1.2
VERSITYGW=github.com/versity/versitygw/cmd/versitygw@v1.8.0
KUBERNETES=1.34.2
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

with_go_of_kubernetes() { # PROGRAM...
    have go || { echo "bench/install.sh: kube-apiserver and kube-scheduler are missing and there is no Go to build them with; install Go" >&2; exit 1; }
    missing=""
    for program in "$@"; do
        have "$program" || missing="$missing k8s.io/kubernetes/cmd/$program"
    done
    [ -n "$missing" ] || return 0
    # Kubernetes' own module points at folders beside it for its parts, so that it can't be installed as it is: each has its own version.
    module=$(mktemp -d)
    trap 'rm -rf "$module"' EXIT
    cd "$module"
    go mod init bench.local/kubernetes
    go mod edit -require "k8s.io/kubernetes@v$KUBERNETES"
    requirements=$(go mod download -json "k8s.io/kubernetes@v$KUBERNETES" | sed -n 's/.*"GoMod": "\(.*\)".*/\1/p')
    for part in $(sed -n 's|.*=> \./staging/src/||p' "$requirements"); do
        go mod edit -replace "$part=$part@v0.${KUBERNETES#*.}"
    done
    # shellcheck disable=SC2086 # they are words
    CGO_ENABLED=0 go install -mod=mod -ldflags "-s -w" $missing
    cd - >/dev/null
}

[ $# -gt 0 ] || set -- distribution docker-registry nginx versitygw strace
for peer in "$@"; do
    case "$peer" in
    distribution) with_go registry "$DISTRIBUTION" ;;
    versitygw) with_go versitygw "$VERSITYGW" ;;
    docker-registry) with_apt docker-registry docker-registry ;;
    nginx) with_apt nginx nginx-light ;; # it has the slice module, which the edge's cases need
    strace) with_apt strace strace ;;
    kubernetes)
        with_apt etcd etcd-server
        with_go_of_kubernetes kube-apiserver kube-scheduler
        ;;
    *) echo "bench/install.sh: no peer is called $peer" >&2; exit 2 ;;
    esac
done
