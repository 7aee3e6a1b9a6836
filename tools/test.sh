#!/bin/sh
# make test: everything that has to hold. With CI=true nothing may be skipped.
set -u
cd "$(dirname "$0")/.." || exit 1

failed=0
step() {
	echo
	echo "== $*"
}
must() {
	"$@" || { failed=1; echo "failed: $*"; }
}

step "what the tests need"
must tools/needs.sh

step "dependencies are what go.sum says"
must go mod verify

step "build"
must make -s build

step "vet"
must go vet ./...

step "the walls"
must go test -count=1 ./test/arch

step "with approved cryptography only (GODEBUG=fips140=on)"
must env GODEBUG=fips140=on go test -count=1 -short ./contract ./internal/... ./provider/internal/link ./provider/internal/vault

step "all tests"
# The report prints go test's own lines, and what was skipped and why.
must go run ./test/report -- -timeout 15m "$@" ./...

[ $failed = 0 ] && echo "all good"
exit $failed
