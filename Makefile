# make help lists the targets. Needed: Go 1.26, git, make.
.POSIX:
.SUFFIXES:
.PHONY: help run build test race lint bench

GO = go

help: ## list the targets
	@sed -n 's/^\([a-z]*\):.*## /\1	/p' Makefile

run: build ## build, and run the whole program on this machine with sample data
	bin/ecs demo $(ARGS)

build: ## build bin/ecs: one static binary
	CGO_ENABLED=0 $(GO) build -trimpath -buildvcs=false \
		-ldflags "-X main.version=$$(tools/version.sh)" -o bin/ecs ./cmd/ecs

test: ## run all tests; as root, install first what they need
	tools/test.sh

race: ## run the tests with the race detector (needs a C compiler)
	CGO_ENABLED=1 $(GO) test -race -short -timeout 30m ./...

lint: ## run the linters, and look for known vulnerabilities
	tools/lint.sh

bench: ## run the benchmarks; OLD=FILE compares with an earlier run
	tools/bench.sh $(OLD)
