-- A program that once needs a lot of memory (a level, a report, an import), drops it, and goes on with little.
-- Watch resident memory from outside: after the drop only the few small objects of the idle phase are alive.
-- Arguments: megabytes, and the word `memory` to print resident memory at the end of each phase (Linux).

local MEGABYTES = assert(tonumber(arg[1] or 500), "the first argument is a number of megabytes")
local SHOW_MEMORY = arg[2] == "memory"
local CHURN, RING = 3000000, 1000

-- What a record takes in 64-bit Lua 5.4: its two tables, its two strings and its place in the heap's array.
local RECORD_BYTES = 152 + 104 + 42 + 144 + 16

-- Phases appear as they end, so that an observer can tell them apart.
io.stdout:setvbuf("no")

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

local function new_record(id)
  return {
    id = id,
    name = "record " .. string.format("%d", id),
    text = string.format("%08d", id) .. ("#"):rep(id * 37 % 223),
    tags = { id % 3, id % 5, id % 7 },
  }
end

local function build(count)
  local heap = {}
  for id = 1, count do heap[id] = new_record(id) end
  return heap
end

local function bytes_of_text(heap)
  local bytes = 0
  for _, record in ipairs(heap) do bytes = bytes + #record.text end
  return bytes
end

-- One full collection frees the records but only halves Lua's table of strings: collect until nothing shrinks.
local function collect_everything()
  local count
  repeat
    count = collectgarbage("count")
    collectgarbage()
  until collectgarbage("count") >= count
end

local function churn(steps)
  local ring, sum = {}, 0
  for step = 1, steps do
    local old = ring[step % RING]
    if old then sum = sum + old.x - old.y end
    ring[step % RING] = { x = step, y = step - 1 }
  end
  return sum
end

collect_everything()
local before = collectgarbage("count")
report("start")

local heap = build(math.floor(MEGABYTES * 1024 * 1024 / RECORD_BYTES))
report("built: %d records, %d bytes of text", #heap, bytes_of_text(heap))

local full = collectgarbage("count")
heap = nil
collect_everything()
local left = (collectgarbage("count") - before) / (full - before)
report("dropped: less than 1 %% of the heap left %s", tostring(left < 0.01))

report("idle: %d small objects made, checksum %d", CHURN, churn(CHURN))
