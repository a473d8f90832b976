-- What the collector does depends on nothing but the bytes that Lua counts: they are printed all along, with the number
-- of collections so far.
local collections = 0
local function watch()
  setmetatable({}, { __gc = function() collections = collections + 1 watch() end })
end

local function work(mode)
  collectgarbage(mode)
  collectgarbage()
  local kept = {}
  for round = 1, 300 do
    for index = 1, 200 do
      local record = { index, round, name = "record " .. round * index, act = function() return index end }
      if index % 7 == 0 then kept[(round * index) % 5000 + 1] = record end
    end
    if round % 50 == 0 then kept = {} end
    coroutine.wrap(function() kept.text = ("x"):rep(round * 100) end)()
    print(mode, round, collections, collectgarbage("count") * 1024)
  end
end

watch()
work("generational")
work("incremental")
assert(collections > 20)
