-- Compilers, document trees, scene graphs: perfect binary trees built bottom up, walked and dropped,
-- while one long-lived tree stays. All blocks have a few sizes; the depth decides how large the heap is.
-- Arguments: depth, and log2 of how often the deepest short-lived tree is rebuilt.

local DEPTH = assert(tonumber(arg[1] or 15), "the first argument is a depth")
local REPEATS = assert(tonumber(arg[2] or 4), "the second argument is a logarithm of base two")
local SHALLOWEST = 4

local function grow(depth)
  if depth == 0 then return {} end
  return { grow(depth - 1), grow(depth - 1) }
end

local function count(tree)
  local left = tree[1]
  if not left then return 1 end
  return 1 + count(left) + count(tree[2])
end

local function report(name, trees, depth, nodes)
  print(string.format("%-10s %8d x depth %2d: %9d nodes", name, trees, depth, nodes))
end

report("stretch", 1, DEPTH + 1, count(grow(DEPTH + 1)))

local kept = grow(DEPTH)

-- Every depth gets about the same number of nodes: half as many trees for each level more.
for depth = SHALLOWEST, DEPTH, 2 do
  local trees = 2 ^ (DEPTH - depth + REPEATS)
  local nodes = 0
  for _ = 1, trees do
    nodes = nodes + count(grow(depth))
  end
  report("short", trees, depth, nodes)
end

report("long", 1, DEPTH, count(kept))
