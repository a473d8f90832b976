#!/bin/sh
# Builds rpmalloc and snmalloc, from the sources in their crates, as libraries to preload. Into target/peers, where
# `lua54_compare --peers` finds them. Linux.
set -eu
cd "$(dirname "$0")/../.."
CC=${CC:-cc} CXX=${CXX:-c++}
for tool in cargo "$CC" "$CXX"; do
    command -v "$tool" >/dev/null || {
        echo "benchmark/peers/build.sh: there is no $tool; install a C and a C++ compiler (CC and CXX name them), and cargo" >&2
        exit 1
    }
done

sources=target/peers/sources
mkdir -p target/peers
cargo vendor --locked --quiet --manifest-path benchmark/peers/Cargo.toml "$sources" >/dev/null

"$CC" -shared -fPIC -O3 -DNDEBUG -std=gnu11 -w -DENABLE_OVERRIDE=1 -DENABLE_PRELOAD=1 \
    "$sources/rpmalloc-sys/rpmalloc/rpmalloc/rpmalloc.c" -o target/peers/librpmalloc.so -pthread

case $(uname -m) in x86_64) wide=-mcx16 ;; *) wide= ;; esac
upstream=$sources/snmalloc-sys/upstream/src
"$CXX" -c -fPIC -O3 -DNDEBUG -std=c++20 -w $wide -fno-exceptions -fno-rtti -fomit-frame-pointer -DSNMALLOC_USE_PTHREAD_DESTRUCTORS \
    -ftls-model=initial-exec -DSNMALLOC_USE_WAIT_ON_ADDRESS=1 -DSNMALLOC_HAS_LINUX_FUTEX_H \
    -DSNMALLOC_HAS_LINUX_RANDOM_H -DSNMALLOC_PLATFORM_HAS_GETENTROPY \
    -I "$upstream" "$upstream/snmalloc/override/malloc.cc" -o target/peers/snmalloc.o
# Without the C++ library, which would count towards the memory of what runs under it.
"$CC" -shared target/peers/snmalloc.o -o target/peers/libsnmallocshim.so -pthread -Wl,-z,defs
rm target/peers/snmalloc.o

echo "target/peers: librpmalloc.so, libsnmallocshim.so"
