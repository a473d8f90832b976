#!/bin/sh
# Builds the C libraries and installs them, their headers and a pkg-config file.
# PREFIX is where they will be found (/usr/local), DESTDIR a folder to put in front of it for packagers.
set -eu
cd "$(dirname "$0")/.."
prefix=${PREFIX:-/usr/local}
case $prefix in
    /*) ;;
    *) echo "install.sh: PREFIX=$prefix is not an absolute path" >&2; exit 1 ;;
esac
lib=$prefix/lib
into=${DESTDIR:-}

# Cargo builds what is missing or out of date.
cargo build --release --package lua_pool_allocator_static --package lua_pool_allocator_shared
built=${CARGO_TARGET_DIR:-target}/release
version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)

mkdir -p "$into$lib/pkgconfig" "$into$prefix/include" "$into$prefix/share/lua_pool_allocator"
for library in "$built"/liblua_pool_allocator.a "$built"/liblua_pool_allocator.so "$built"/liblua_pool_allocator.dylib; do
    if [ -e "$library" ]; then
        # A new file rather than new contents: programs that run with the old one keep it.
        rm -f "$into$lib/$(basename "$library")"
        cp "$library" "$into$lib/"
    fi
done
cp include/lua_pool.h include/lua_pool_inline.h include/lua_pool_layout.h "$into$prefix/include/"
# For hosts that compile Lua 5.4 themselves: see lua_pool_inline.h.
cp vendor/*.patch include/lua_pool_onelua.c "$into$prefix/share/lua_pool_allocator/"
sed -e "s|@PREFIX@|$prefix|" -e "s|@VERSION@|$version|" scripts/lua_pool_allocator.pc.in \
    >"$into$lib/pkgconfig/lua_pool_allocator.pc"
echo "installed into $into$prefix; a program finds the headers with: pkg-config --cflags --libs lua_pool_allocator"
