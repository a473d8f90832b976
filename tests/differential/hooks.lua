-- Hooks see what they see in a Lua without our patches for speed (vendor/speed-32-trap-table.patch among them): every
-- event in its order, with hooks of all masks and counts, set and taken back at all depths, by the program, by hooks, from
-- other coroutines, while stacks grow and shrink. Prints a line for each event.

local function report(event, line)
  local about = debug.getinfo(2, "Snlt")
  print(event, line, about.name, about.namewhat, about.what, about.istailcall, about.currentline)
end

local function add(a, b)
  local sum = a + b
  return sum
end

local function nothing() end

local function count_arguments(...)
  local n = select("#", ...)
  return n, ...
end

local function tail(n)
  if n == 0 then return add(1, 2) end
  return tail(n - 1)
end

local function deep(n)  -- moves the stack
  if n == 0 then return 0 end
  return 1 + deep(n - 1)
end

local Class = setmetatable({}, {
  __index = function(_, name) return name end,
  __newindex = function(t, name, value) rawset(t, name, value) end,
  __call = function(_, value) return value end,
  __add = function(a) return a end, __lt = function() return true end, __concat = function() return "both" end,
  __eq = function() return false end, __close = nothing, __len = function() return 7 end,
})

local function loops()
  local sum = 0
  for i = 1, 2 do sum = sum + i end
  for x = 1.0, 2.0, 0.5 do sum = sum + x end
  for _, value in ipairs { 4, 5 } do sum = sum + value end
  for key in pairs { a = 1 } do sum = sum + #key end
  for character in ("ab"):gmatch "." do sum = sum + #character end
  while sum < 40 do
    sum = sum + 7
    if sum == 33 then goto continue end
    if sum > 38 then break end
    ::continue::
  end
  repeat sum = sum - 9 until sum < 20 or not sum
  return sum
end

local function metamethods()
  local _ <close> = Class
  Class.new = Class.field
  return Class + 1, Class < 1, Class .. "x", Class == setmetatable({}, getmetatable(Class)), #Class, Class(3)
end

local function everything(n)
  nothing()
  add(add(1, 2), 3)
  count_arguments()
  local first, second = count_arguments(n, nil, n)
  local all = { count_arguments(1, 2) }
  tail(2)
  deep(n)
  loops()
  metamethods()
  local closures = {}
  for i = 1, 2 do closures[i] = function() i = i + #all; return i end end
  closures[1](); closures[2]()
  pcall(error, "message")
  pcall(function() local _ <close> = Class; error(first) end)
  local thread = coroutine.wrap(function(...)
    local given = coroutine.yield(...)
    deep(given)
    return second
  end)
  thread(1); thread(n)
  return table.unpack(all)
end

local masks = { "c", "r", "l", "cr", "cl", "rl", "crl", "" }

-- From outside.
for _, mask in ipairs(masks) do
  for _, count in ipairs { 0, 1, 2, 7, 1000 } do
    print("outside", mask, count)
    debug.sethook(report, mask, count)
    everything(3)
    debug.sethook()
    print(debug.gethook())
  end
end

-- From within, at some depth, for the callers to see; and taken back at another.
local function set_at(depth, ...)
  if depth == 0 then debug.sethook(...) else set_at(depth - 1, ...) end
  add(depth, depth)
end
for _, mask in ipairs(masks) do
  for depth = 0, 3 do
    print("within", mask, depth)
    set_at(depth, report, mask, depth * 3)
    add(1, 1)
    count_arguments(1, 2)
    set_at(3 - depth)
    add(2, 2)
  end
end

-- By hooks: each event turns to the next mask, with a count or without, and back to none.
for first = 1, 2 * #masks do
  print("turning", first)
  local turn, events = (first + 1) // 2, 0
  local function turning(event, line)
    events = events + 1
    print(event, line, turn)
    turn = turn % #masks + 1
    local mask = masks[turn] == "" and "c" or masks[turn]
    if events < 60 then debug.sethook(turning, mask, first % 2 * turn) else debug.sethook() end
  end
  debug.sethook(turning, "crl", 5)
  everything(2)
  debug.sethook()
end

-- For a coroutine, from another: before it starts, while it waits, and when it hooks its resumer.
for _, mask in ipairs(masks) do
  print("coroutine", mask)
  local main = coroutine.running()
  local thread = coroutine.create(function(n)
    deep(n)
    coroutine.yield()
    loops()
    coroutine.yield()
    debug.sethook(main, report, mask, 4)
    count_arguments(everything(1))
  end)
  debug.sethook(thread, report, mask)
  coroutine.resume(thread, 3)
  debug.sethook(thread)
  coroutine.resume(thread)
  debug.sethook(thread, report, mask, 2)
  coroutine.resume(thread)
  add(3, 3)
  debug.sethook()
end

-- Stacks that move below running functions, with and without hooks, by Lua and by C functions; hooks that move them.
for _, depth in ipairs { 10, 100, 1000, 10000 } do
  local events = 0
  local function growing(event)
    events = events + 1
    if events % 500 == 1 then print(event, events, deep(depth), select("#", table.unpack({}, 1, depth))) end
  end
  print("moving", depth, deep(depth), (count_arguments(table.unpack({}, 1, depth))))
  coroutine.wrap(function()
    debug.sethook(growing, "crl", 3)
    print(everything(depth % 997))
    print(select("#", count_arguments(table.unpack({}, 1, depth))))
    debug.sethook()
    print(deep(depth), everything(1))
  end)()
  collectgarbage()
  print("moved", depth, events, deep(depth // 2), everything(2))
end
