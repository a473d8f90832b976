#!/bin/sh
# Builds lua54, lua54_pool and lua54_compare into target/release.
cd "$(dirname "$0")/.." || exit 1
exec cargo build --release "$@"
