-- Which objects live: a graph of tables, closures, coroutines and strings changes at random, and the collector runs in
-- all its ways. Weak tables and finalizers tell what is gone, and when. Prints a line for every ten rounds.

local ROUNDS, PLACES = tonumber(arg and arg[1]) or 1000, 60
local state = 42
local function random(n)
  state = (state * 1103515245 + 12345) % 2147483648
  return state // 65536 % n + 1
end

local digest, finalized, log = 0, 0, {}
local function note(n) digest = (digest * 31 + n) % 2147483647 end

local weak_values, weak_keys, ephemerons, both =
  setmetatable({}, { __mode = "v" }), setmetatable({}, { __mode = "k" }), setmetatable({}, { __mode = "k" }),
  setmetatable({}, { __mode = "kv" })
local graveyard = {} -- what finalizers brought back
local serial, places = 0, {}

local mortal = {
  __gc = function(object)
    finalized = finalized + 1
    note(object.serial)
    if object.serial % 5 == 0 then graveyard[random(8)] = object end
    if object.serial % 7 == 0 then setmetatable(object, getmetatable(object)) end -- finalized once more
  end,
}

local function any() return places[random(PLACES)] end

-- Each kind of object refers to some others and can be asked to refer to another one.
local makers = {
  function() return { serial = serial, any(), any() } end,
  function() return setmetatable({ serial = serial, any() }, mortal) end,
  function() return setmetatable({ serial = serial, [{}] = any() }, { __mode = "v", owner = any() }) end,
  function()
    local held, other = any(), { any() }
    return { serial = serial, get = function() return held, other end, set = function(v) held = v end }
  end,
  function() -- a coroutine whose open upvalue a closure outside shares
    local get, set
    local thread = coroutine.create(function(first)
      local shared, rest = first, { any() }
      get, set = function() return shared, rest end, function(v) shared = v end
      while true do
        local v = coroutine.yield(shared)
        if v then shared = v end
      end
    end)
    coroutine.resume(thread, any())
    return { serial = serial, thread = thread, get = get, set = set }
  end,
  function() -- the closure alone, and then the coroutine alone
    local set
    local thread = coroutine.wrap(function(first)
      local shared = { first }
      set = function(v) shared[1] = v end
      coroutine.yield()
    end)
    thread(any())
    return { serial = serial, set = set, keep = serial % 2 == 0 and thread or nil }
  end,
  function()
    return { serial = serial, text = ("text %d "):rep(random(9)):format(1, 2, 3, 4, 5, 6, 7, 8, 9), any() }
  end,
  function()
    return { serial = serial, code = load("local a, b = ... return function() return a, b end")(any(), {}) }
  end,
}

local function make()
  serial = serial + 1
  local object = makers[random(#makers)]()
  weak_values[serial] = object
  weak_keys[object] = serial
  ephemerons[object] = { random(2) == 1 and object or any() }
  both[object] = any()
  return object
end

local function change()
  local object = any()
  if not object then return end
  local what = random(6)
  if what == 1 then
    object[random(3)] = any()
  elseif what == 2 and object.set then
    object.set(random(3) == 1 and make() or any())
  elseif what == 3 and object.thread then
    coroutine.resume(object.thread, random(3) == 1 and make() or any())
  elseif what == 4 and object.get then -- an old closure gets a new upvalue, which holds a new value
    local fresh = random(2) == 1 and make() or ("fresh %d"):format(serial)
    debug.upvaluejoin(object.get, 1, function() return fresh end, 1)
    fresh = setmetatable({ serial = serial }, random(2) == 1 and mortal or nil)
  elseif what == 5 then
    ephemerons[object] = { any(), make() }
  elseif what == 6 and not getmetatable(object) then
    setmetatable(object, { refers = any(), __gc = random(4) == 1 and mortal.__gc or nil })
  end
end

local modes = {
  function() collectgarbage("step") end,
  function() collectgarbage("step") end,
  function() collectgarbage() end,
  function() collectgarbage() collectgarbage() end,
  function()
    collectgarbage("incremental")
    if random(2) == 1 then repeat until collectgarbage("step") end
    collectgarbage("generational")
  end,
  function() collectgarbage("generational", random(40), random(100)) end,
  function()
    for _ = 1, random(4) do collectgarbage("step") end
  end,
}

local function census()
  local alive = 0
  for at = 1, serial do
    local object = weak_values[at]
    if object then
      alive = alive + 1
      note(at)
      if weak_keys[object] ~= at then note(-1) end
      if ephemerons[object] then note(#ephemerons[object]) end
      if both[object] then note(both[object].serial or 0) end
    end
  end
  local keys = 0
  for _ in pairs(weak_keys) do keys = keys + 1 end
  note(keys)
  return alive
end

-- A string that only the cache of the API knows for a while: it gets old and dies there.
local cached
local function ask_for_cached()
  if random(12) == 1 then cached = nil end
  if random(12) == 1 then
    cached = math.type(0.5)
    for i = 1, #cached do note(cached:byte(i)) end
  end
end

collectgarbage("generational")
collectgarbage("stop") -- but for the calls below: when memory asks for collections is not the same everywhere
for round = 1, ROUNDS do
  for _ = 1, random(40) do
    local place = random(PLACES)
    local kind = random(4)
    if kind == 1 then places[place] = nil elseif kind == 2 then places[place] = make() else change() end
  end
  ask_for_cached()
  if random(3) == 1 then modes[random(#modes)]() end
  if round % 10 == 0 then
    log[#log + 1] = ("%d: %d of %d alive, %d finalized, %d"):format(round, census(), serial, finalized, digest)
  end
end
places, graveyard = {}, {}
for _ = 1, 4 do collectgarbage() end
graveyard = {}
for _ = 1, 4 do collectgarbage() end
print(table.concat(log, "\n"))
print(("%d alive at the end, %d finalized, %d"):format(census(), finalized, digest))
