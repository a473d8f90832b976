-- Loading a big data set: millions of small records, each with short strings and a closure, all kept to the end.
-- The heap only grows (1,000 rounds of 2,048 records by default), so it shows what fresh small blocks cost.

local ROUNDS = assert(tonumber(arg[1] or 1000), "the argument is a number of rounds")
local RECORDS = 2048

-- The numbers drawn decide which strings appear, never what is printed.
math.randomseed(42)

local function new_record(index)
  local parts = {}
  local name = string.format("record%d", index) .. tostring(index)
  local twice = function(text) return text .. text end
  local rank = tostring(math.random(index))
  table.insert(parts, name)
  twice(name)
  return { name, rank, twice }, table.concat(parts, "; ")
end

local rounds, titles = {}, {}
local bytes, ranked = 0, 0
for round = 1, ROUNDS do
  local records = {}
  for index = 1, RECORDS do
    local record, title = new_record(index)
    records[index] = record
    titles[round] = title
    bytes = bytes + #record[1]
    if tonumber(record[2]) <= index then ranked = ranked + 1 end
  end
  rounds[round] = records
end

local last = rounds[#rounds][RECORDS]
print(string.format("records %d, bytes in names %d, ranks in range %d", #rounds * RECORDS, bytes, ranked))
print(string.format("last record %s, twice %s, titles %d", last[1], last[3](last[1]), #titles))
