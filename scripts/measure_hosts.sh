#!/usr/bin/env bash
# The same Lua script in three hosts, with the pool and without: a C host on Debian's Lua 5.4, a Rust host with mlua, and
# Debian's ncat, unchanged, with the library preloaded. Prints user and system time together (best of 5) and, with valgrind, instructions.
#
#     scripts/measure_hosts.sh [SCRIPT.lua]
#
# Needs liblua5.4-dev, pkg-config and ncat (apt-get install), and valgrind for the instructions.
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD
for needed in cc cargo pkg-config ncat; do
    command -v "$needed" >/dev/null || { echo "measure_hosts.sh: there is no $needed; install it first" >&2; exit 1; }
done
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
script=${1:-$folder/script.lua}
[ $# -gt 0 ] || cat >"$script" <<'LUA'
-- Trees, objects with closures, strings: what scripts do with memory.
local function tree(depth)
  if depth == 0 then return {} end
  return { tree(depth - 1), tree(depth - 1) }
end
local trees, kept, words = 0, {}, {}
for i = 1, 20 do trees = trees + #tree(12) end
for i = 1, 100000 do
  kept[i % 20000 + 1] = { name = "object " .. i, position = { x = i, y = -i }, call = function() return i end }
end
for i = 1, 50000 do words[i] = "word " .. i % 777 end
table.sort(words)
print(trees, #kept, kept[1].call(), words[1])
LUA
script=$(realpath "$script")
# Nobody waits for ncat's child, so it has to tell by itself how long it took; closing the state is not in that.
printf 'dofile [==[%s]==] print("clock " .. os.clock())\n' "$script" >"$folder/clocked.lua"

echo "building ..." >&2
PREFIX=$folder/prefix scripts/install.sh >/dev/null 2>&1
export PKG_CONFIG_PATH=$folder/prefix/lib/pkgconfig LD_LIBRARY_PATH=$folder/prefix/lib
cc -O2 -o "$folder/c_host" examples/c_host.c $(pkg-config --cflags --libs lua_pool_allocator lua5.4)
target=${CARGO_TARGET_DIR:-$root/target}/mlua_host
(cd examples/mlua_host && cargo build --release --quiet --target-dir "$target")

# ncat runs the script in the child that answers a connection.
serve() {
    local port=$1
    shift
    "$@" /usr/bin/ncat -l 127.0.0.1 "$port" --lua-exec "$folder/clocked.lua" </dev/null &
    local server=$!
    # Not before it listens: the first connection is the only one.
    until grep -qi ":$(printf %04X "$port") 00000000:0000 0A" /proc/net/tcp; do sleep 0.05; done
    cat <"/dev/tcp/127.0.0.1/$port"
    wait "$server"
}
port=$((20000 + RANDOM % 20000))
next_port() { port=$((port + 1)); }
preload=$folder/prefix/lib/liblua_pool_allocator.so

run() { # host, with or without, what to run it under
    local host=$1 mode=$2
    shift 2
    case $host-$mode in
        c-without) "$@" "$folder/c_host" --system "$script" ;;
        c-with) "$@" "$folder/c_host" --pool "$script" ;;
        mlua-without) "$@" "$target/release/mlua_host" --system "$script" ;;
        mlua-with) "$@" "$target/release/mlua_host" --attach "$script" ;;
        ncat-without) serve "$port" "$@" ;;
        ncat-with) serve "$port" "$@" env LD_PRELOAD="$preload" LUA_POOL_STATS=1 ;;
    esac
}

cpu_seconds() {
    local TIMEFORMAT='%3U %3S'
    for _ in 1 2 3 4 5; do
        next_port
        local told
        told=$({ time run "$@" >"$folder/out" 2>"$folder/err"; } 2>&1)
        sed -n 's/^clock //p' "$folder/out" | grep . || awk '{ print $1 + $2 }' <<<"$told"
        sed -i '/^clock /d' "$folder/out"
    done | sort -n | head -n 1
}

million_instructions() { # the sum over all processes
    next_port
    run "$@" valgrind --tool=callgrind --callgrind-out-file=/dev/null --trace-children=yes 2>&1 >/dev/null |
        awk '/Collected/ { sum += $NF } END { printf "%.0f\n", sum / 1e6 }'
}

printf '%-6s %22s %26s   %s\n' host 'CPU time, ms' 'million instructions' 'the pool says'
for host in c mlua ncat; do
    without=$(cpu_seconds $host without)
    before=$(cat "$folder/out")
    with=$(cpu_seconds $host with)
    [ "$before" = "$(cat "$folder/out")" ] || { echo "measure_hosts.sh: $host printed something else" >&2; exit 1; }
    said=$(grep 'blocks handed out' "$folder/err" | sort -t: -k2 -n | tail -n 1)
    instructions='-'
    if command -v valgrind >/dev/null; then
        instructions=$(awk -v a="$(million_instructions $host without)" -v b="$(million_instructions $host with)" \
            'BEGIN { printf "%d -> %d (%.2f)", a, b, b / a }')
    fi
    printf '%-6s %22s %26s   %s\n' $host \
        "$(awk -v a="$without" -v b="$with" 'BEGIN { printf "%.0f -> %.0f (%.2f)", a * 1000, b * 1000, b / a }')" \
        "$instructions" "$said"
done
