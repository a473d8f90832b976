-- Library functions that have short ways for their usual arguments (vendor/speed-25-arguments.patch), and some that have
-- none, with arguments of all kinds. Prints what they give, a line for each call.

math.randomseed(42)
local draw = math.random

local values = {
  0, 1, -1, 2, 3, -3, 7, 1000, math.maxinteger, math.mininteger, 0.0, -0.0, 1.0, 1.5, -1.5, 2.5, -0.25, 1e15 + 0.5, 2^53,
  2^63, -2^63, 2^62 + 1024, 1e308, math.huge, -math.huge, 0 / 0, "", "abc", "10", "0x10", "1.5", " 7 ", "a.c", ".", "^b",
  "a\0b", ("long"):rep(20), true, false, {}, setmetatable({}, { __lt = function() return true end }),
}

local functions = {
  math.floor, math.ceil, math.max, math.min, math.abs, math.sqrt, math.fmod, math.tointeger, math.type, math.ult,
  math.random, math.modf, string.byte, string.sub, string.find, string.match, string.len, string.reverse, string.upper,
}

local function show(...)
  local parts = table.pack(...)
  for i = 1, parts.n do
    local part = parts[i]
    local kind = math.type(part) or type(part)
    parts[i] = kind == "table" and kind or kind .. ":" .. ("%q"):format(part)
  end
  return table.concat(parts, " ", 1, parts.n)
end

local function call(name, f, ...)
  print(name .. "(" .. show(...) .. ")", show(pcall(f, ...)))
end

for name, f in ipairs(functions) do
  call(name, f)
  call(name, f, nil)
  for _, one in ipairs(values) do
    call(name, f, one)
    call(name, f, one, nil)
    call(name, f, nil, one)
    for _, other in ipairs(values) do call(name, f, one, other) end
  end
  for _ = 1, 400 do
    local picked = {}
    for i = 1, 3 + draw(2) do picked[i] = values[draw(#values)] end
    call(name, f, table.unpack(picked))
  end
end

-- The same generator gives the same numbers, whatever is asked of it.
math.randomseed(7)
for i = 1, 200 do print(math.random(), math.random(i), math.random(-i, i), math.random(0), math.random(i, 3 * i)) end
