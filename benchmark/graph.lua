-- A large live heap: a road map of nodes and edges, searched and ranked by passes that make temporaries.
-- The collector has to walk the whole graph while the passes allocate queues, paths and tables of results.

local NODES = assert(tonumber(arg[1] or 60000), "the argument is a number of nodes")
local EDGES_PER_NODE = 4
local SEARCHES, RANKINGS = 3, 5

-- A small generator of our own (Lehmer's), so that every interpreter builds the same graph.
local state = 42
local function random(limit)
  state = state * 16807 % 2147483647
  return state % limit + 1
end

local function build(count)
  local nodes = {}
  for id = 1, count do
    nodes[id] = { id = id, name = "node " .. string.format("%d", id), edges = {} }
  end
  for id, node in ipairs(nodes) do
    -- The first edge makes a ring, so that every node can be reached.
    node.edges[1] = { to = nodes[id % count + 1], weight = random(100) }
    for index = 2, EDGES_PER_NODE do
      node.edges[index] = { to = nodes[random(count)], weight = random(100) }
    end
  end
  return nodes
end

local function breadth_first(start)
  local depth = { [start] = 0 }
  local level, deepest = { start }, 0
  while #level > 0 do
    local following = {}
    for _, node in ipairs(level) do
      for _, edge in ipairs(node.edges) do
        if not depth[edge.to] then
          depth[edge.to] = depth[node] + 1
          following[#following + 1] = edge.to
        end
      end
    end
    deepest = depth[level[1]]
    level = following
  end
  return deepest
end

-- A binary heap of {distance, node} entries, a new one per improvement.

local function push(heap, entry)
  local index = #heap + 1
  while index > 1 do
    local parent = (index - index % 2) / 2
    if heap[parent].distance <= entry.distance then break end
    heap[index] = heap[parent]
    index = parent
  end
  heap[index] = entry
end

local function pop(heap)
  local top, last = heap[1], heap[#heap]
  heap[#heap] = nil
  local size, index = #heap, 1
  if size == 0 then return top end
  while true do
    local child = 2 * index
    if child > size then break end
    if child < size and heap[child + 1].distance < heap[child].distance then child = child + 1 end
    if heap[child].distance >= last.distance then break end
    heap[index] = heap[child]
    index = child
  end
  heap[index] = last
  return top
end

local function shortest_paths(start)
  local best, heap = { [start] = 0 }, {}
  local settled, sum = {}, 0
  push(heap, { distance = 0, node = start })
  while #heap > 0 do
    local entry = pop(heap)
    local node = entry.node
    if not settled[node] then
      settled[node] = true
      sum = sum + entry.distance
      for _, edge in ipairs(node.edges) do
        local distance = entry.distance + edge.weight
        if distance < (best[edge.to] or math.huge) then
          best[edge.to] = distance
          push(heap, { distance = distance, node = edge.to })
        end
      end
    end
  end
  return sum
end

-- One pass of ranking by links: the ranks of the pass before are dropped as a whole.
local function rank(nodes, ranks)
  local following = {}
  for id = 1, #nodes do following[id] = { score = 0.15, links = 0 } end
  for id, node in ipairs(nodes) do
    local share = 0.85 * ranks[id].score / #node.edges
    for _, edge in ipairs(node.edges) do
      local target = following[edge.to.id]
      target.score = target.score + share
      target.links = target.links + 1
    end
  end
  return following
end

local function highest(ranks)
  local best = 1
  for id = 2, #ranks do
    if ranks[id].score > ranks[best].score then best = id end
  end
  return best
end

local nodes = build(NODES)
for search = 1, SEARCHES do
  local start = nodes[random(NODES)]
  print(string.format("search %d from %s: deepest %d, distances %d",
    search, start.name, breadth_first(start), shortest_paths(start)))
end

local ranks = {}
for id = 1, NODES do ranks[id] = { score = 1, links = 0 } end
for _ = 1, RANKINGS do ranks = rank(nodes, ranks) end
local top = highest(ranks)
print(string.format("top rank %s: %.6f from %d links", nodes[top].name, ranks[top].score, ranks[top].links))
