#!/bin/sh
# make lint: gofumpt and the linters of .golangci.yml; then govulncheck, which
# informs and never fails. The tools are built from tools/go.mod, whose
# dependencies never enter the product's.
set -u
cd "$(dirname "$0")/.." || exit 1

failed=0
go tool -modfile=tools/go.mod golangci-lint run ./... || failed=1

# The vulnerability database: a folder given by VULNDB, one beside the checkout,
# or the one on the internet.
db=${VULNDB:-../shared/data/vulndb}
if [ -d "$db" ]; then
	set -- -db "file://$(cd "$db" && pwd)"
else
	set --
fi
go tool -modfile=tools/go.mod govulncheck "$@" ./... || echo "govulncheck: read the above; it does not fail this run"

exit $failed
