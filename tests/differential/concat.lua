-- The operator '..' against 'table.concat', which does not use it: lengths about the limits of short strings and of the
-- buffer that small results are made in (vendor/speed-20-small-concat.patch), numbers of all kinds, empty strings,
-- metamethods between them. Prints "ok".

local random = math.random

local numbers = {
  0, -1, 7, 42, 1e15, -0.0, 0.1, 3.5, -2.25, 1 / 0, -1 / 0, 1e100, 5e-324, 123456.789, 2^53, 2^63,
  math.maxinteger, math.mininteger, math.pi,
}

local function operand()
  local kind = random(8)
  if kind <= 3 then return numbers[random(#numbers)] end
  if kind == 4 then return "" end
  if kind == 5 then return ("long"):rep(random(60)) end
  return ("x"):rep(random(30))
end

local concat = {}
for n = 2, 30 do
  local names = {}
  for i = 1, n do names[i] = "v" .. i end
  local list = table.concat(names, ", ")
  concat[n] = assert(load(("local %s = ...; return %s"):format(list, table.concat(names, " .. "))))
end

for _ = 1, 30000 do
  local n = random(2, random(2, 30))
  local operands, texts = {}, {}
  for i = 1, n do
    operands[i] = operand()
    texts[i] = tostring(operands[i])
  end
  local result, expected = concat[n](table.unpack(operands, 1, n)), table.concat(texts)
  if result ~= expected or math.type(result) then
    error(("%s: %q instead of %q"):format(table.concat(texts, " .. "), result, expected))
  end
end

-- Every length about the limits, made of two and of three operands, with a number and without.
for length = 30, 230 do
  for first = 0, length, 7 do
    local a, b = ("a"):rep(first), ("b"):rep(length - first)
    assert(a .. b == table.concat { a, b } and #(a .. b) == length)
    assert(a .. 123456 .. b == table.concat { a, "123456", b })
    assert(1.5 .. a .. b .. -7 == table.concat { "1.5", a, b, "-7" })
  end
end

-- With an empty string the result is the other operand, not a copy of it.
for _, text in ipairs { "short", ("long"):rep(20), ("long"):rep(100) } do
  local function address(s) return string.format("%p", s) end
  assert(address(text .. "") == address(text) and address("" .. text) == address(text))
end
assert(1 .. "" == "1" and "" .. 2.0 == "2.0" and "" .. "" == "")

-- Metamethods get what is left and right of them as it is, or concatenated so far.
local seen
local mt = { __concat = function(a, b) seen = { a, b }; return "m" end }
local t = setmetatable({}, mt)
assert(1 .. 2 .. t == "1m" and seen[1] == 2 and seen[2] == t)
assert(math.type(seen[1]) == "integer")
assert(t .. 1 .. 2 == "m" and seen[1] == t and seen[2] == "12")
assert("a" .. 1 .. t .. 2 .. "b" == "a1m" and seen[2] == "2b")

-- Errors name the operand that cannot be concatenated.
local function message(code)
  return select(2, pcall(assert(load("local a, b, c = ...; return " .. code)), 1, "x", {}))
end
assert(message("a .. c"):find("attempt to concatenate a table value (local 'c')", 1, true))
assert(message("c .. a .. b"):find("attempt to concatenate a table value (local 'c')", 1, true))
assert(message("a .. nil .. b"):find("attempt to concatenate a nil value", 1, true))
assert(message("b .. a .. c.x"):find("attempt to concatenate a nil value (field 'x')", 1, true))

-- A coroutine that yields in the metamethod goes on with the numbers beside it.
mt.__concat = function(a, b) return (type(a) == "table" and "T" or a) .. coroutine.yield(b) end
local co = coroutine.wrap(function() return 1 .. t .. 2 .. 3 end)
assert(co() == "23")
assert(co("y") == "1Ty")

print("ok")
