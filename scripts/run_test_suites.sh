#!/bin/sh
# Runs all tests, the official Lua test suite on both programs among them.
cd "$(dirname "$0")/.." || exit 1
exec cargo test --release "$@"
