-- Some 400,000 remainders of floats, each compared with what C's fmod makes of it, which math.fmod asks. Prints "ok".

local random = math.random

local function by_c_library(a, b)
  local r = math.fmod(a, b)
  if r > 0 and b < 0 or r < 0 and b > 0 then r = r + b end
  return r
end

local function check(a, b)
  local got, expected = a % b, by_c_library(a, b)
  -- Zeros have signs; a number that is none differs from itself.
  if got ~= expected and (got == got or expected == expected) or got == 0 and 1 / got ~= 1 / expected then
    error(string.format("%a %% %a: %a instead of %a", a, b, got, expected))
  end
end

local function check_signs(a, b)
  check(a, b)
  check(-a, b)
  check(a, -b)
  check(-a, -b)
end

-- Any bits at all, and a float with an exponent of its own.
local function any_float() return (string.unpack("d", string.pack("j", random(0)))) end
local function float_of(exponent) return (1 + random()) * 2.0 ^ exponent end
local function next_below(x)
  local bits = string.unpack("j", string.pack("d", x))
  return (string.unpack("d", string.pack("j", bits - 1)))
end

local smallest, largest, infinite, none = 0x1p-1074, 0x1.fffffffffffffp1023, 1 / 0, 0 / 0
local special = { 0.0, smallest, 3 * smallest, 0x1p-1022, 0.1, 1.0, 3.0, 2.0 ^ 26, 2.0 ^ 53, largest, infinite, none }
for _, a in ipairs(special) do
  for _, b in ipairs(special) do check_signs(a, b) end
end

for _ = 1, 20000 do
  check_signs(any_float(), any_float())
  local b = float_of(random(-1074, 990))
  -- Quotients of every size up to those that fmod is asked for.
  check_signs(b * 2.0 ^ random(-1, 29) * (1 + random()), b)
  -- Multiples, or nearly so, where the quotient is rounded up to the next integer.
  local multiple = b * random(1, 2 ^ 26)
  check_signs(multiple, b)
  check_signs(next_below(multiple), b)
  check_signs(random(1000) / 10, random(100) / 10)
end
print("ok")
