#!/bin/sh
# Builds everything and compares the two programs on the shipped workloads.
cd "$(dirname "$0")/.." || exit 1
cargo build --release && exec target/release/lua54_compare "$@" benchmark/mix.lua benchmark/vector.lua benchmark/small_strings.lua
