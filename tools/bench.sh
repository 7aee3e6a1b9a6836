#!/bin/sh
# make bench: the benchmarks of the hot paths, six times each, into
# bin/bench.txt. With an earlier file as argument, what changed since.
# Beside real peers: go run ./bench/dns, ./bench/mail, ./bench/flow,
# ./bench/inforce, ./bench/desk; bench/RESULTS.md keeps the figures.
set -eu
cd "$(dirname "$0")/.."
mkdir -p bin
go test -run '^$' -bench . -count 6 \
	./contract ./observable ./provider/internal/match ./provider/internal/dns/... ./provider/internal/mail/... ./provider/internal/flow/... \
	>bin/bench.new || { cat bin/bench.new; exit 1; }
cat bin/bench.new
mv bin/bench.new bin/bench.txt
if [ $# -gt 0 ]; then
	go tool -modfile=tools/go.mod benchstat "$1" bin/bench.txt
fi
