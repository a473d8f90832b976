-- What the scripts here share. A failure that a script provokes is tested; one for lack of memory is passed on, so
-- that a run ends either well or with "not enough memory".
local OUT = "not enough memory"

function passOn(ok, ...)
  if not ok and (...) == OUT then error(OUT, 0) end
  return ok, ...
end

-- calls a function that must fail; returns its message
function fails(f, ...)
  local ok, message = passOn(pcall(f, ...))
  assert(not ok, "this should have failed")
  return message
end

-- load, or loadfile: what they return
function loaded(f, ...)
  if not f and (...) == OUT then error(OUT, 0) end
  return f, ...
end

function resume(co, ...)
  return passOn(coroutine.resume(co, ...))
end
local t = {}
for i = 1, 200 do t[i] = i * i end
for i = 1, 200, 3 do t[i] = nil end
for i = 1, 80 do t["key" .. i] = {i, name = i} end
for i = 1, 80, 2 do t["key" .. i] = nil end
local n, sum = 0, 0
for k, v in pairs(t) do
  n = n + 1
  if math.type(v) == "integer" then sum = sum + v end
end
print(n, sum)
local list = {5, 3, 9, 1, 7, 2, 8}
table.sort(list)
print(table.concat(list, ","))
table.sort(list, function(a, b) return a > b end)
print(table.unpack(list))
table.insert(list, 4); table.insert(list, 1, 6); table.remove(list, 3); table.remove(list)
print(table.concat(list, " ", 2, 5), select("#", table.unpack(list, 1, 20)))
local packed = table.pack(nil, 2, nil)
print(packed.n, #table.move({1, 2, 3}, 1, 3, 3), next({}), rawlen({1, 2}), rawequal(t, t))
local matrix = {}
for i = 1, 10 do
  matrix[i] = {}
  for j = 1, 10 do matrix[i][j] = i * j end
end
local trace = 0
for i = 1, 10 do trace = trace + matrix[i][i] end
print(trace)
local queue, first = {}, 1
for i = 1, 100 do
  queue[i] = {i}
  if i % 2 == 0 then queue[first] = nil; first = first + 1 end
end
print(first, queue[first][1])
print(fails(table.sort, {3, 1, 2, 5, 4, 6}, function() return true end), fails(next, {}, "no such key"))
print(fails(table.concat, {1, {}, 3}), fails(rawset, {}, nil, 1))
