#!/usr/bin/env bash
# Installs what the tests need, by name, where it is missing: real servers and real clients. Runs again at no cost.
#
# As root on Debian, with apt, go and cargo. Ends with 1, and the names, when something could not be installed; and when the disk that the
# tests write to has less room than they take, for they would fail in the middle, and in odd ways.
set -uo pipefail

# Asks a container runtime as a kubelet does.
CRICTL=sigs.k8s.io/cri-tools/cmd/crictl@v1.36.0
CRANE=github.com/google/go-containerregistry/cmd/crane@v0.22.1
# The servers of a Sigstore; built with nothing cached they take 123, 49 and 53 s of two processors.
FULCIO=github.com/sigstore/fulcio@v1.8.8
REKOR=github.com/sigstore/rekor-tiles/v2/cmd/rekor-server/posix@v2.3.0
TIMESTAMPS=github.com/sigstore/timestamp-authority/v2/cmd/timestamp-server@v2.1.3
COSIGN=github.com/sigstore/cosign/v3/cmd/cosign@v3.1.3
# Built with nothing cached it takes 163 s of two processors.
HELM=helm.sh/helm/v4/cmd/helm@v4.3.1
NOTATION=github.com/notaryproject/notation/cmd/notation@v1.3.2
VERSITYGW=github.com/versity/versitygw/cmd/versitygw@v1.8.0
# The fuzz targets are run by it.
CARGO_FUZZ=0.13.2
# How much must be free, in GiB, where the tests write.
FREE_GIB=${LONGSHORE_TESTS_FREE_GIB:-10}

say() { printf 'install: %s\n' "$*" >&2; }

has_postgres() { compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null; }
has_static_c() { command -v gcc >/dev/null && [ -n "$(gcc -print-file-name=libc.a | grep /)" ]; }
go_bin() { printf '%s/bin' "${GOPATH:-$HOME/go}"; }
has_cargo_fuzz() { cargo fuzz --version >/dev/null 2>&1; }
has_faketime() { compgen -G '/usr/lib/*/faketime/libfaketime.so.1' >/dev/null; }
has_go_program() { [ -x "$(go_bin)/$1" ] || command -v "$1" >/dev/null; }

# What is missing, as the names of Debian's packages.
missing_packages() {
  command -v dockerd >/dev/null || echo docker.io
  command -v docker >/dev/null || { apt-cache show docker-cli >/dev/null 2>&1 && echo docker-cli; }
  command -v containerd >/dev/null || echo containerd
  command -v runc >/dev/null || echo runc
  [ -x /usr/lib/cni/ptp ] || echo containernetworking-plugins
  command -v podman >/dev/null || echo podman
  command -v skopeo >/dev/null || echo skopeo
  command -v openssl >/dev/null || echo openssl
  command -v setpriv >/dev/null || echo util-linux
  command -v ip >/dev/null || echo iproute2
  command -v openssl >/dev/null || echo openssl
  command -v tar >/dev/null || echo tar
  has_faketime || echo libfaketime
  has_postgres || echo postgresql
  has_static_c || printf '%s\n' gcc libc6-dev
  # A part of each fuzz target is C++.
  command -v c++ >/dev/null || echo g++
}

missing_go_programs() {
  has_go_program cosign || echo "$COSIGN"
  has_go_program crane || echo "$CRANE"
  has_go_program crictl || echo "$CRICTL"
  has_go_program helm || echo "$HELM"
  has_go_program notation || echo "$NOTATION"
  has_go_program fulcio || echo "$FULCIO"
  # That is what Go calls it, for its last folder.
  has_go_program posix || echo "$REKOR"
  has_go_program timestamp-server || echo "$TIMESTAMPS"
  has_go_program versitygw || echo "$VERSITYGW"
}

missing_cargo_programs() { has_cargo_fuzz || echo "cargo-fuzz@$CARGO_FUZZ"; }

packages=$(missing_packages)
if [ -n "$packages" ]; then
  if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    say "missing: $(echo $packages); installing them takes root and apt-get"
    exit 1
  fi
  say "installing $(echo $packages)"
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -qq || say "apt-get update failed; trying with the lists at hand"
  # Asked again, as an empty list of packages may have hidden a name.
  packages=$(missing_packages)
  # Services are the tests' to start; none may start by itself.
  policy=/usr/sbin/policy-rc.d
  if [ ! -e $policy ]; then
    printf '#!/bin/sh\nexit 101\n' >$policy && chmod +x $policy
    trap 'rm -f $policy' EXIT
  fi
  # shellcheck disable=SC2086
  apt-get install -y -qq --no-install-recommends $packages >&2 || say "apt-get install failed"
fi

# Builds MODULE/cmd/NAME@VERSION. `go install` asks for the list of the module's versions, which some proxies do not have; a module that
# names the version does without.
install_go() (
  GOFLAGS=-mod=mod go install "$1" && return
  module=$(mktemp -d) && trap 'rm -rf "$module"' EXIT && cd "$module" || return
  go mod init scratch && go mod edit -require="${1%%/cmd/*}@${1##*@}" && GOFLAGS=-mod=mod go install "${1%@*}"
)

for program in $(missing_go_programs); do
  if ! command -v go >/dev/null; then
    say "missing: $program; installing it takes go"
    continue
  fi
  say "installing $program"
  install_go "$program" >&2 || say "go install $program failed"
done

for program in $(missing_cargo_programs); do
  say "installing $program"
  cargo install --locked "$program" >&2 || say "cargo install $program failed"
done

left="$(missing_packages) $(missing_go_programs) $(missing_cargo_programs)"
if [ -n "${left// /}" ]; then
  say "could not be installed: $(echo $left)"
  exit 1
fi

# Where the tests' folder is made; they go by the same variable.
place=${TMPDIR:-/tmp}
free=$(df --output=avail --block-size=1G "$place" | tail -n 1 | tr -dc 0-9)
if [ "${free:-0}" -lt "$FREE_GIB" ]; then
  say "$place has ${free:-no} GiB free, and the tests take up to $FREE_GIB GiB; TMPDIR names another place, LONGSHORE_TESTS_FREE_GIB another limit"
  exit 1
fi
say "everything the tests need is there"
