-- Prints a digest of the order that 'next' goes in, for tables of numbers and a boolean, some taken out again, with hash
-- parts from one node to half a million. (Strings would come in another order in each run.)

local function digest(t)
  local sum, count = 0, 0
  for key, value in pairs(t) do
    count = count + 1
    sum = (sum * 31 + math.floor((type(key) == "number" and key or 7) * 8) + value) % 2147483647
  end
  return sum, count
end

for _, size in ipairs { 1, 2, 3, 5, 17, 100, 1000, 70000, 300000 } do
  local t, x = {}, 42
  for i = 1, size do
    x = (x * 1103515245 + 12345) % 2147483648
    t[x] = i
    t[x / 8 + 0.5] = i
    if i % 3 == 0 then t[x] = nil end
  end
  t[true] = 1
  print(size, digest(t))
end
