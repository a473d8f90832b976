-- Collecting results of unknown number: arrays, hash tables, sets and queues that grow from empty by doubling.
-- What counts is resizing: many sizes asked for once, copied and given back, from a few bytes to a megabyte.

local ROUNDS = assert(tonumber(arg[1] or 60), "the argument is a number of rounds")

local function fill_array(count)
  local array = {}
  for index = 1, count do array[#array + 1] = index end
  return #array
end

local function fill_hash(count)
  local by_id = {}
  for index = 1, count do by_id[index * 7919 % 1000003] = index end
  local sum = 0
  for _, value in pairs(by_id) do sum = sum + value end
  return sum
end

local function fill_names(names, count)
  local seen = {}
  for index = 1, count do seen[names[index]] = index end
  return seen[names[count]]
end

-- Keys leave in front as others enter behind: the table is rehashed without ever getting larger.
local function run_queue(count)
  local queue, first, last, sum = {}, 1, 0, 0
  for index = 1, count do
    last = last + 1
    queue[last] = index
    if index % 3 ~= 0 then
      sum = sum + queue[first]
      queue[first] = nil
      first = first + 1
    end
  end
  return sum
end

local function fill_matrix(rows)
  local matrix = {}
  for row = 1, rows do
    local cells = {}
    for column = 1, row % 24 do cells[column] = row * column end
    matrix[row] = cells
  end
  return #matrix + #matrix[rows]
end

local function make_names(count)
  local names = {}
  for index = 1, count do names[index] = "field_" .. string.format("%d", index) end
  return names
end

local names = make_names(4096)
local total = 0
for round = 1, ROUNDS do
  for power = 0, 16 do
    local count = 2 ^ power + round % 3
    -- Small collections are far more common than large ones.
    for _ = 1, math.max(1, 2048 / 4 ^ math.floor(power / 2)) do
      total = total + fill_array(count) + fill_hash(count)
      if count <= #names then total = total + fill_names(names, count) end
    end
  end
  total = total + run_queue(20000) + fill_matrix(4000)
end
print(string.format("rounds %d, checksum %d", ROUNDS, total))
