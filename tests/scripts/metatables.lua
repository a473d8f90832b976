local V = {}
V.__index = V
local function vector(x, y) return setmetatable({x = x, y = y}, V) end
V.__add = function(a, b) return vector(a.x + b.x, a.y + b.y) end
V.__mul = function(a, b) return type(a) == "number" and vector(a * b.x, a * b.y) or a.x * b.x + a.y * b.y end
V.__unm = function(a) return vector(-a.x, -a.y) end
V.__eq = function(a, b) return a.x == b.x and a.y == b.y end
V.__lt = function(a, b) return a.x < b.x end
V.__le = function(a, b) return a.x <= b.x end
V.__len = function(a) return 2 end
V.__tostring = function(a) return "(" .. a.x .. "," .. a.y .. ")" end
V.__concat = function(a, b) return tostring(a) .. tostring(b) end
V.__call = function(self, k) return self[k] end
V.__name = "vector"
local v = vector(0, 0)
for i = 1, 40 do v = v + 2 * vector(i, -i) end
print(tostring(v), v * v, -v == vector(-v.x, -v.y), v < vector(1, 1), v <= v, #v, v .. " and " .. v, v("x"))
local log = {}
local proxy = setmetatable({}, {
  __index = function(t, k) log[#log + 1] = "get " .. tostring(k); return k end,
  __newindex = function(t, k, x) log[#log + 1] = "set " .. tostring(k); rawset(t, k, x) end,
  __pairs = function(t) return function(_, k) if not k then return 1, "one" end end, t, nil end,
})
proxy.a = proxy.b; proxy[1.5] = proxy[true]
for k, x in pairs(proxy) do log[#log + 1] = k .. x end
print(table.concat(log, "; "))
local base = {greet = function(self) return "I am " .. self.name end}
local level = base
for i = 1, 20 do level = setmetatable({name = "level " .. i}, {__index = level}) end
print(level:greet(), getmetatable("").__index == string)
print(fails(setmetatable, setmetatable({}, {__metatable = "locked"}), {}), getmetatable(setmetatable({}, {__metatable = 1})))
print(fails(function() return {} + 1 end), fails(function() return v < 1 end), fails(function() return #5 end))
print(fails(function() local t = setmetatable({}, {__index = function(t, k) error("no " .. k, 0) end}); return t.field end))
local defaults = setmetatable({}, {__index = function(t, k) local x = {}; rawset(t, k, x); return x end})
for i = 1, 30 do defaults[i % 7][i] = i end
print(#defaults[1], next(defaults[0]) ~= nil)
