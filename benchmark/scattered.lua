-- The worst case for giving memory back: a big heap of small objects dies, but one object in a hundred stays,
-- anywhere. Hardly a page is empty afterwards, so what is still resident shows what an allocator can win there.
-- Arguments: objects, and the word `memory` to print resident memory at the end of each phase (Linux).

local OBJECTS = assert(tonumber(arg[1] or 4000000), "the first argument is a number of objects")
local SHOW_MEMORY = arg[2] == "memory"
local ONE_IN_KEPT = 100

-- Phases appear as they end, so that an observer can tell them apart.
io.stdout:setvbuf("no")

-- A small generator of our own (Lehmer's), so that every interpreter keeps the same objects.
local state = 42
local function random(limit)
  state = state * 16807 % 2147483647
  return state % limit + 1
end

local function resident_megabytes()
  local status = assert(io.open("/proc/self/status"), "resident memory can be read on Linux only")
  local kilobytes = status:read("*a"):match("VmRSS:%s*(%d+)")
  status:close()
  return kilobytes / 1024
end

local function report(phase, ...)
  print(string.format(phase, ...))
  if SHOW_MEMORY then print(string.format("  resident %.1f MB", resident_megabytes())) end
end

local KINDS = {
  function(id) return { id } end,
  function(id) return { x = id, y = -id } end,
  function(id) return string.format("object %d", id) end,
  function(id) return function() return id end end,
}

local function build(count)
  local objects = {}
  for id = 1, count do objects[id] = KINDS[random(#KINDS)](id) end
  return objects
end

local function keep_some(objects)
  local kept = {}
  for id = 1, #objects do
    if random(ONE_IN_KEPT) == 1 then kept[#kept + 1] = objects[id] end
  end
  return kept
end

local function count_types(objects)
  local counts = { table = 0, string = 0, ["function"] = 0 }
  for _, object in ipairs(objects) do
    counts[type(object)] = counts[type(object)] + 1
  end
  return counts.table, counts.string, counts["function"]
end

report("start")

local objects = build(OBJECTS)
report("built: %d objects: %d tables, %d strings, %d functions", #objects, count_types(objects))

local kept = keep_some(objects)
objects = nil
collectgarbage()
report("kept: %d objects: %d tables, %d strings, %d functions", #kept, count_types(kept))
