-- strings, arrays and hash parts that outgrow the largest size class, then a unit of the pool, then a segment
local s = "x"
while #s < 5000000 do s = s .. s end
print(#s)
local parts = {}
for i = 1, 60 do parts[i] = ("%08d"):format(i):rep(300) end
print(#table.concat(parts), #table.concat(parts):upper())
local array = {}
for i = 1, 70000 do array[i] = i end
local hash = {}
for i = 1, 5000 do hash[i * 1.5] = true end
for i = 1, 70000 do array[i] = nil end
array[1] = 1; array.x = 1; array = nil
s = nil; collectgarbage()
local t = table.pack(table.unpack({}, 1, 5000))
print(t.n, select("#", ("x"):rep(3000):byte(1, -1)))
print(#(("abc"):rep(30000):gsub("b", "bbbb")))
local function deep(n) if n == 0 then return 0 end return 1 + deep(n - 1) end
print(deep(12000))
for i = 1, 3 do local u = ("u"):rep(100000 * i); local v = u .. i; assert(#v == 100000 * i + 1) end
