local seed = 12345
local function random(n) seed = (seed * 1103515245 + 12345) % 2147483648; return seed % n + 1 end
local words, numbers, records = {}, {}, {}
for i = 1, 120 do
  numbers[i] = random(1000)
  words[i] = ("w%03d"):format(random(1000))
  records[i] = {key = random(50), rank = i}
end
table.sort(numbers); table.sort(words)
table.sort(records, function(a, b) if a.key ~= b.key then return a.key < b.key end return a.rank < b.rank end)
print(numbers[1], numbers[60], numbers[120], words[1], words[120], records[1].key, records[120].key)
for i = 2, 120 do assert(numbers[i - 1] <= numbers[i] and words[i - 1] <= words[i] and records[i - 1].key <= records[i].key) end
print(#table.concat(numbers, ", "), #table.concat(words))
local groups = {}
for _, r in ipairs(records) do
  local g = groups[r.key] or {}
  groups[r.key] = g
  g[#g + 1] = r.rank
end
local keys = {}
for key in pairs(groups) do keys[#keys + 1] = key end
table.sort(keys)
for i = 1, #keys do keys[i] = keys[i] .. ":" .. #groups[keys[i]] end
print(table.concat(keys, " "))
local sorted = setmetatable({}, {__index = function(_, i) if i <= 10 then return 11 - i end end, __len = function() return 10 end})
print(table.concat(sorted, " "), table.unpack(sorted, 1, 3))
