#!/bin/sh
# Prints the version of this checkout: a tag, or the commit.
cd "$(dirname "$0")/.." || exit 1
git describe --tags --always --dirty 2>/dev/null || echo development
