-- Loops over tables: pairs and ipairs, whose steps the interpreter takes itself, against calls of next and indexing;
-- with keys of all types, tables that change on the way, metamethods, hooks, errors, and garbage collected in between.
local ROUNDS = 40
local seed, sum = 11, 0
local function random(n) seed = (seed * 1103515245 + 12345) % 2147483648; return (seed >> 8) % n end
local function note(v) sum = (sum * 31 + v) % 1000000007 end

local function key(n)
  local kind = n % 6
  if kind == 0 then return n elseif kind == 1 then return "key" .. n elseif kind == 2 then return n + 0.5
  elseif kind == 3 then return {} elseif kind == 4 then return ("long"):rep(20) .. n
  else return function() return n end end
end

-- What a loop visits, beside what `next`, called, returns.
local function visits_all(t)
  local visited, count = {}, 0
  for k, v, nothing in pairs(t) do
    assert(rawget(t, k) == v and not visited[k] and nothing == nil)
    visited[k], count = true, count + 1
    if count % 7 == 0 then collectgarbage("step") end
  end
  local k, called = nil, 0
  repeat
    k = next(t, k)
    if k ~= nil then assert(visited[k]); called = called + 1 end
  until k == nil
  assert(called == count)
  return count
end

for round = 1, ROUNDS do
  local t, keys, size = {}, {}, random(30)
  for i = 1, size do keys[i] = key(i + random(3) * 6); t[keys[i]] = i end
  note(visits_all(t))
  -- clearing what is visited, and what comes later, is allowed; the keys become garbage on the way
  local left, other = 0, round
  for k in pairs(t) do
    t[k] = nil
    other = (other * 5 + 3) % size -- (how often depends on the order, which is nobody's business)
    if other % 2 == 0 then t[keys[1 + other]] = nil end
    keys[1 + other] = false
    collectgarbage(round % 2 == 0 and "step" or "collect")
    left = left + 1
  end
  assert(next(t) == nil and left <= size)
end

-- ipairs stops at the first hole, looks at __index, and sees what is added and taken away on the way.
local list, seen = { 1, 2, 3, nil, 5 }, 0
for i, v in ipairs(list) do
  seen = seen + v
  if i == 1 then list[4] = 4 end
  if i == 3 then list[5] = nil end
end
assert(seen == 10)
seen = 0
local backed = setmetatable({ 10, 20 }, { __index = function(_, i) if i < 6 then return i end end })
for i, v in ipairs(backed) do seen = seen + i * v end
assert(seen == 10 + 40 + 9 + 16 + 25)
for _, empty in ipairs {} do error(empty) end
for _, v in ipairs(setmetatable({}, { __index = { "a", "b" } })) do note(#v) end
for i in ipairs { 1, 2 } do note(i) end
for i, v, none, more in ipairs { 7 } do assert(i == 1 and v == 7 and none == nil and more == nil) end
local extremes = { [math.mininteger] = "wrapped" }
local step, state = ipairs(extremes)
for i, v in step, state, math.maxinteger do note(#v); assert(i == math.mininteger); break end

-- An iterator of somebody else, one that is called, and next with a state of its own.
local function countdown(_, n) if n > 1 then return n - 1 end end
for n in countdown, nil, 5 do note(n) end
for n in setmetatable({}, { __call = function(_, _, n) return countdown(nil, n) end }), nil, 5 do note(n) end
for k, v in next, { x = 1 } do note(#k + v) end
for k in pairs(setmetatable({}, { __pairs = function() return countdown, nil, 4 end })) do note(k) end

-- Errors say what next says, and come from it.
local ok, message = pcall(function() for k in next, {}, "nowhere" do note(k) end end)
assert(not ok and message == "invalid key to 'next'", message)
ok, message = pcall(function() for _ in ipairs() do end end)
assert(not ok and message:find("value expected"))
ok, message = pcall(function() for k in next, 12 do note(k) end end)
assert(not ok and message:find("table expected"), message)

-- A hook sees each call.
local calls, t = 0, { 1, 2, 3 }
debug.sethook(function() if debug.getinfo(2, "f").func == next then calls = calls + 1 end end, "c")
for _ in pairs(t) do end
debug.sethook()
assert(calls == 4, calls)
calls = 0
for k in pairs(t) do
  if k == 2 then debug.sethook(function() if debug.getinfo(2, "f").func == next then calls = calls + 1 end end, "c") end
end
debug.sethook()
assert(calls == 2, calls)

-- Loops that are left, inside coroutines and with a closing value.
local function leave(t)
  return coroutine.wrap(function() for k, v in pairs(t) do coroutine.yield(k, v) end end)
end
local items = 0
for k, v in leave { a = 1, b = 2, 3, 4 } do items = items + 1; assert(k and v) end
assert(items == 4)
print("loops", sum)
