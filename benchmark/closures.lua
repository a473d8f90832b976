-- Functional style: counters, composed pipelines and iterators made of closures with one to three upvalues.
-- A closure and its upvalues live for one item of work; a ring of event handlers lives a little longer.

local ROUNDS = assert(tonumber(arg[1] or 700), "the argument is a number of rounds")
local ITEMS = 1000
local RING = 4096

local function counter(step)
  local total = 0
  return function()
    total = total + step
    return total
  end
end

local function compose(first, second)
  return function(value) return second(first(value)) end
end

local function adder(amount)
  return function(value) return value + amount end
end

local function clamp(low, high)
  return function(value)
    if value < low then return low end
    if value > high then return high end
    return value
  end
end

local function range(first, last)
  local current = first - 1
  return function()
    current = current + 1
    if current <= last then return current end
  end
end

local function filter(accept, iterator)
  return function()
    local value = iterator()
    while value and not accept(value) do value = iterator() end
    return value
  end
end

-- A handler shares the upvalue `received` with its owner, as widgets and their callbacks do.
local function new_handler(id)
  local received = 0
  return {
    fire = function(amount) received = received + amount + id % 3 end,
    read = function() return received end,
  }
end

local function run_round(round, handlers)
  local sum = 0
  for item = 1, ITEMS do
    local next_total = counter(item % 7)
    next_total()
    local pipeline = compose(adder(round), clamp(10, 500))
    sum = sum + pipeline(item) + next_total()

    local slot = (round * ITEMS + item) % RING + 1
    local old = handlers[slot]
    if old then
      old.fire(item)
      sum = sum + old.read()
    end
    handlers[slot] = new_handler(item)
  end
  for value in filter(function(n) return n % 3 == round % 3 end, range(1, 30)) do
    sum = sum + value
  end
  return sum
end

local handlers, total = {}, 0
for round = 1, ROUNDS do
  total = (total + run_round(round, handlers)) % 2147483647
end
print(string.format("rounds %d, handlers %d, checksum %d", ROUNDS, #handlers, total))
