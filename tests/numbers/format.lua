-- Some 500,000 numbers to strings, each compared with what the C library makes of it: a format that asks for a plus
-- sign is always left to it. Prints "ok".

local format, random = string.format, math.random
local point = "."

local function by_c_library(conversion, number)
  return (format("%+" .. conversion, number):gsub("^%+", ""))
end

-- Both of C's ways to fill up, with a width that changes from call to call; zeros go behind the sign.
local width = 0
local function check_format(conversion, number)
  local expected = by_c_library(conversion, number)
  width = (width + 1) % 30
  local zeros = width
  if expected:find("n") then zeros = 0 end -- inf and nan are filled up with spaces
  local sign, digits = expected:match("^(-?)(.*)$")
  for filled, wanted in pairs {
    [conversion] = expected,
    [width .. conversion] = (" "):rep(width - #expected) .. expected,
    ["0" .. zeros .. conversion] = sign .. ("0"):rep(zeros - #expected) .. digits,
  } do
    if width > 0 and format("%" .. filled, number) ~= wanted then
      error(format("%%%s: %s instead of %s", filled, format("%" .. filled, number), wanted))
    end
  end
end

local function check_integer(i)
  local expected = by_c_library("d", i)
  if tostring(i) ~= expected or i .. "" ~= expected then
    error(format("%s instead of %s", tostring(i), expected))
  end
  check_format("d", i)
end

local function check_one(x)
  local expected = by_c_library(".14g", x)
  check_format(".14g", x)
  check_format("." .. random(0, 9) .. "f", x)
  if not expected:find("[^-0-9]") then expected = expected .. point .. "0" end
  if tostring(x) ~= expected or x .. "" ~= expected then
    error(format("%s instead of %s for %a", tostring(x), expected, x))
  end
end

local function check(x)
  check_one(x)
  check_one(-x)
end

local function float_of_bits(bits)
  return (string.unpack("<d", string.pack("<i8", bits)))
end

local function bits_of_float(x)
  return (string.unpack("<i8", string.pack("<d", x)))
end

local function check_neighbours(x)
  local bits = bits_of_float(x)
  for distance = -8, 8 do
    local neighbour = bits + distance
    if neighbour >= 0 then check(float_of_bits(neighbour)) end
  end
end

local function edges()
  for _, x in ipairs {
    0.0, 0.1, 0.5, 1e15, 123456789012345.0, 2 ^ 53, 2 ^ 63, math.pi, math.huge, 0 / 0, 5e-324,
    9.9999999999999995e-5, 99999999999999.5, 9999999999999.95, 70368744177663.99, 123456.99999999999,
  } do
    check(x)
  end
  for exponent = -324, 308 do check_neighbours(tonumber("1e" .. exponent)) end
  for exponent = -15, 15 do
    for distance = -40, 40 do check(tonumber("1e" .. exponent) * (1 + distance * 2.5e-15)) end
  end
  for exponent = -1074, 1023 do check_neighbours(2.0 ^ exponent) end
  for digits = 1, 16 do
    for _, text in ipairs { "9", "5", "4", "1" } do
      for exponent = -16, 3 do check(tonumber(text:rep(digits) .. "e" .. exponent)) end
    end
  end
end

-- Exactly half way between two numbers with so many digits behind the point.
local function fixed_ties(count)
  for precision = 0, 9 do
    for _ = 1, count do
      local tie = (random(0) >> random(11, 63) | 1) / 2.0 ^ (precision + 1)
      check_format("." .. precision .. "f", tie)
      check_format("." .. precision .. "f", -tie)
    end
  end
end

-- Exactly half way between two numbers of 14 digits: n / 2^(k + 1) is one where 5^k * n has 14 digits and a half.
local function ties(count)
  for k = 0, 12 do
    local power = math.tointeger(5 ^ k)
    local low, high = 20000000000000 // power + 1, 200000000000000 // power
    for _ = 1, low < high and count or 0 do check((random(low, high) | 1) / 2.0 ^ (k + 1)) end
  end
end

local function integers(count)
  for shift = 0, 63 do
    local power = 1 << shift
    for distance = -2, 2 do check_integer(power + distance) check_integer(-power + distance) end
  end
  local power = 1
  for _ = 0, 18 do
    for distance = -2, 2 do check_integer(power + distance) check_integer(-power + distance) end
    power = power * 10
  end
  for _ = 1, count do check_integer(random(0) >> random(0, 63)) check_integer(-(random(0) >> random(0, 63))) end
end

local function randoms(count)
  for _ = 1, count do
    check(float_of_bits(random(0)))
    check(float_of_bits(random(0) & ((1 << 52) - 1) | random(1023 - 50, 1023 + 50) << 52))
    check(random())
    check(random(0, 99999999) / 1000)
    check(random(0, 999999999999) / 10.0 ^ random(0, 13))
    check(random() * random() * 1000)
    check(random(0, (1 << 46) - 1) / 2.0 ^ random(0, 13))
    check((random(0) >> random(1, 63)) + 0.0)
  end
end

local function everything(count)
  edges()
  ties(count // 8)
  fixed_ties(count // 8)
  integers(count)
  randoms(count)
end

math.randomseed(42)
everything(20000)

-- A decimal comma, where the system has a locale with one.
for _, name in ipairs { "de_DE.UTF-8", "de_DE.utf8", "de_DE", "fr_FR.UTF-8", "pt_BR.UTF-8", "pt_BR", "German" } do
  if os.setlocale(name) then
    point = format("%.1f", 0.5):sub(2, 2)
    if point ~= "." then
      everything(2000)
      break
    end
  end
end

print "ok"
