-- Prints the lengths of tables with holes after each of many random operations. Any border may be a length, but which
-- one it is must not depend on our patches: some scripts live by it.
local random = math.random

local function fresh()
  local kind = random(7)
  if kind == 1 then return {} end
  if kind == 2 then return {1, 2, nil, 4} end
  if kind == 3 then return {10, 20, 30, [-9] = 1} end
  if kind == 4 then return {nil, nil, 3} end
  if kind == 5 then return {table.unpack({1, 2, 3, 4, 5, 6, 7}, 1, random(7))} end
  if kind == 6 then return {(function(...) return ... end)(1, nil, nil, 4, nil)} end
  local t = {}
  for i = 1, random(20) do t[i] = i end
  return t
end

local t
-- No key is a string: where those stand differs from run to run, and with it when a table grows.
local operations = {
  function() t = random(4) == 1 and fresh() or t end,
  function() t[random(20)] = 1 end,
  function() t[random(20)] = nil end,
  function() t[random(20)] = nil end,
  function() t[-random(6)] = 1 end,
  function() t[-random(6)] = nil end,
  function() t[#t + 1] = 1 end,
  function() t[#t] = nil end,
  function() return t[random(24)] end,
  function() table.insert(t, 1) end,
  function() table.insert(t, random(12), 1) end,
  function() return table.remove(t) end,
  function() return table.remove(t, random(12)) end,
  function() return table.concat(t, ",") end,
  function() return select("#", table.unpack(t, 1, random(10))) end,
  function() local from = random(8); table.move(t, from, from + 4, random(8)) end,
  function() local sum = 0; for i in ipairs(t) do sum = sum + i end; return sum end,
  function() local n = 0; for _ in pairs(t) do n = n + 1 end; return n end,
}

for seed = 1, 300 do
  math.randomseed(seed)
  t = fresh()
  local seen = {}
  for _ = 1, 300 do
    local which = random(#operations)
    local _, result = pcall(operations[which])
    seen[#seen + 1] = ("%d %s #%d"):format(which, result, #t)
  end
  print(table.concat(seen, ", "))
end
