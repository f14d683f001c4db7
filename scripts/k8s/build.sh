#!/usr/bin/env bash
# Builds, once, what the tests need of a Kubernetes cluster, through the Go module proxy: etcd, the API server, the
# controller manager, the scheduler and kubectl, KServe's controller and graph router, and KWOK. Prints the folder.
# Everything is checked against go.sum files or the checksums of versions.env.
#
#   scripts/k8s/build.sh [--check]     --check builds nothing, and says whether it is there
#
# K8S_BUILD_DIR keeps downloads and compiler caches (8 GB); without it they are removed at the end.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
# shellcheck source=versions.env
source "$here/versions.env"

say() { printf '==> %s\n' "$*" >&2; }
stop() { printf 'e2e-k8s: %s\n' "$*" >&2; exit 1; }

key=$(cat "$here/versions.env" "$here"/go/*/go.mod "$here"/go/*/go.sum | sha256sum | cut -c1-12)
into=$root/.cache/k8s/$key
if [ -f "$into/.built" ]; then
    echo "$into"
    exit 0
fi
[ "${1:-}" != --check ] || stop "the cluster's programs are not built; build them once with: make e2e-k8s (about 10 minutes on 2 cores, 8 GB while it builds)"

command -v go >/dev/null || stop "Go is not installed (no go on the PATH), and the cluster's programs are built with it.
         Install Go $GO_NEEDED or newer and run make e2e-k8s again. Nothing else is missing: etcd, Kubernetes, kubectl,
         KServe and KWOK come through the Go module proxy."
have=$(go env GOVERSION | sed 's/^go//')
[ "$(printf '%s\n%s\n' "$GO_NEEDED" "$have" | sort -V | head -1)" = "$GO_NEEDED" ] ||
    stop "Go is $have, and Kubernetes $KUBERNETES needs $GO_NEEDED or newer. Install it, or put it first on the PATH."

mkdir -p "$into/bin" "$into/share"
exec 9>"$into/.lock"
flock -n 9 || { say "Another build is under way; waiting for it"; flock 9; }
if [ -f "$into/.built" ]; then
    echo "$into"
    exit 0
fi

work=${K8S_BUILD_DIR:-$into/work}
mkdir -p "$work"
export GOPATH=$work/path GOMODCACHE=$work/mod GOCACHE=$work/build GOTOOLCHAIN=local GOWORK=off CGO_ENABLED=0
export GOFLAGS="-buildvcs=false -mod=readonly -trimpath -modcacherw ${K8S_GOFLAGS:-}"

# build NAME FOLDER PACKAGE [LDFLAGS]
build() {
    [ -x "$into/bin/$1" ] && return
    local began=$SECONDS
    (cd "$2" && go build -ldflags "-s -w ${4:-}" -tags grpcnotrace -o "$into/bin/$1.part" "$3")
    mv "$into/bin/$1.part" "$into/bin/$1"
    say "$1: $((SECONDS - began)) s, $(($(stat -c %s "$into/bin/$1") / 1000000)) MB"
}

# module PATH VERSION SUM: prints the folder of a module, whose checksum must be the given one
module() {
    local told
    told=$(cd / && go mod download -json "$1@$2")
    grep -qF "\"Sum\": \"$3\"" <<<"$told" || stop "the module $1 $2 has another checksum than versions.env says"
    sed -n 's/.*"Dir": "\(.*\)",/\1/p' <<<"$told"
}

stamp="-X k8s.io/component-base/version.gitVersion=$KUBERNETES -X k8s.io/component-base/version.gitMajor=1
    -X k8s.io/component-base/version.gitMinor=$(cut -d. -f2 <<<"$KUBERNETES")
    -X k8s.io/component-base/version.gitTreeState=clean -X k8s.io/client-go/pkg/version.gitVersion=$KUBERNETES"
stamp=$(tr '\n' ' ' <<<"$stamp")
say "Building the cluster's programs into $into"
build etcd "$here/go/etcd" go.etcd.io/etcd/server/v3
for name in kube-apiserver kube-controller-manager kube-scheduler kubectl; do
    build $name "$here/go/kubernetes" k8s.io/kubernetes/cmd/$name "$stamp"
done

# These two build from their own folders, by their own go.sum.
kserve=$(module github.com/kserve/kserve "$KSERVE" "$KSERVE_SUM")
build kserve-manager "$kserve" ./cmd/manager
build kserve-router "$kserve" ./cmd/router
kwok=$(module sigs.k8s.io/kwok "$KWOK" "$KWOK_SUM")
build kwok "$kwok" ./cmd/kwok

say "Keeping the definitions that KServe and KWOK bring along"
rm -rf "$into/share/"*
mkdir -p "$into/share/kserve" "$into/share/kwok"
cp -r "$kserve/config" "$into/share/kserve/config"
cp -r "$kserve/test/crds" "$into/share/kserve/crds"
cp -r "$kwok/kustomize/stage" "$into/share/kwok/stage"
chmod -R u+w "$into/share"

[ -n "${K8S_BUILD_DIR:-}" ] || rm -rf "$work"
date -u +%FT%TZ >"$into/.built"
echo "$into"
