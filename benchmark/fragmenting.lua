-- A server that runs for weeks: what it stores changes size over time, and some of every age stays behind.
-- Blocks freed at one size cannot serve the next era unless their memory is really given back or reused.

local ERAS = assert(tonumber(arg[1] or 12), "the argument is a number of eras")
local SLOTS = 60000
local REPLACEMENTS = 90000
local ONE_IN_PINNED = 25

-- A small generator of our own (Lehmer's), so that every interpreter stores the same things.
local state = 42
local function random(limit)
  state = state * 16807 % 2147483647
  return state % limit + 1
end

local function new_text(size, serial)
  return string.format("%08d", serial) .. ("x"):rep(size * 10 + random(16))
end

local function new_array(size)
  local array = {}
  for index = 1, size do array[index] = index end
  return array
end

local function new_record(size, serial)
  local record = { serial = serial }
  for index = 1, size % 12 do record["field" .. index] = size end
  return record
end

local function new_handler(size, serial)
  local calls = size
  return function()
    calls = calls + 1
    return calls + serial % 7
  end
end

-- Sizes swing slowly up and down again; each era also has its own favourite kind of thing.
local function era_size(era)
  return 2 + math.abs(era * 3 % 32 - 16)
end

local KINDS = { new_text, new_array, new_record, new_handler }

local function new_thing(era, serial)
  local favourite = era % #KINDS + 1
  local kind = random(2) == 1 and favourite or random(#KINDS)
  return KINDS[kind](era_size(era) + random(4), serial)
end

local function weigh(thing)
  local kind = type(thing)
  if kind == "string" then return #thing end
  if kind == "function" then return thing() end
  return thing.serial or #thing
end

local store, pinned = {}, {}
local serial = 0

for era = 1, ERAS do
  for _ = 1, REPLACEMENTS do
    local slot = random(SLOTS)
    serial = serial + 1
    local thing = new_thing(era, serial)
    store[slot] = thing
    -- Survivors: kept beyond their era, until their own place is taken much later.
    if serial % ONE_IN_PINNED == 0 then
      pinned[random(SLOTS)] = thing
    end
  end
end

local function sum_up(things)
  local count, weight = 0, 0
  for slot = 1, SLOTS do
    if things[slot] then
      count, weight = count + 1, weight + weigh(things[slot])
    end
  end
  return count, weight
end

print(string.format("eras %d, things made %d", ERAS, serial))
print(string.format("store: %d things, weight %d", sum_up(store)))
print(string.format("survivors: %d things, weight %d", sum_up(pinned)))
