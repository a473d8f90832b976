-- A mixed load, one round at a time: what a server or a game does between two requests or frames. A store of records
-- lives on, and a part of it is replaced in every round; everything else is dropped.
local store, sessions, round = {}, {}, 0
for i = 1, 4000 do store[i] = {id = i, name = "record " .. i, tags = {i, i * 2}} end

local function drift(base) return base + (round * 7919) % 61 end

local function replaceRecords()
  for i = 1, 400 do
    local at = (round * 400 + i * 7) % #store + 1
    store[at] = {id = at, name = ("record %d, round %d"):format(at, round), tags = {}, text = ("t"):rep(drift(i % 40))}
    for j = 1, i % 9 do store[at].tags[j] = j end
  end
end

local function buildTexts()
  local lines = {}
  for i = 1, drift(80) do lines[i] = ("%5d %-12s %8.3f"):format(i, store[i].name, i / 7) end
  local page = table.concat(lines, "\n")
  return #page:gsub("record", "entry"):upper()
end

local function runTasks()
  local tasks, sum = {}, 0
  for i = 1, drift(40) do
    tasks[i] = coroutine.wrap(function(n) for k = 1, 5 do n = n + coroutine.yield({k, n}) end return {0, n} end)
    tasks[i](i)
  end
  for k = 1, 5 do for i = 1, #tasks do sum = sum + tasks[i](k)[2] end end
  return sum
end

local function keepSessions()
  local session = setmetatable({handlers = {}}, {__gc = function(s) s.handlers = nil end})
  for i = 1, drift(10) do session.handlers[i] = function(x) return x + i + round end end
  sessions[round % 50] = session
end

local function useLargeBlocks()
  local buffer = {}
  for i = 1, 2000 + 100 * (round % 37) do buffer[i] = i end
  local blob = ("b"):rep(20000 * (round % 23 + 1))
  if round % 40 == 0 then blob = blob:rep(12) end
  return #blob + #buffer
end

local function failAndRecover()
  for i = 1, 30 do
    assert(not pcall(function() local guard <close> = setmetatable({}, {__close = function() end}); error({i}) end))
  end
end

return function()
  round = round + 1
  replaceRecords(); buildTexts(); runTasks(); keepSessions(); useLargeBlocks(); failAndRecover()
  return collectgarbage("count")
end
