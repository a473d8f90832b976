-- Some 400,000 decimal numerals, each compared with what the C library makes of it: numerals of so many digits are
-- always left to it. Prints "ok".

local format, random = string.format, math.random

-- The same number, with zeros behind its fraction.
local function with_zeros(numeral)
  local before, whole, fraction, rest = numeral:match("^(%s*[-+]?)(%d*)%.?(%d*)(.*)$")
  return before .. whole .. "." .. fraction .. ("0"):rep(30) .. rest
end

local function check(numeral)
  local expected = tonumber(with_zeros(numeral))
  local number = tonumber(numeral)
  if math.type(number) == "integer" then number = number + 0.0 end
  if not expected or format("%a", number) ~= format("%a", expected) then
    error(format("%s is %a instead of %a", numeral, number, expected))
  end
  local source = load("return " .. numeral:gsub("^%s*%+", ""))()
  if format("%a", source) ~= format("%a", number) then
    error(format("%s in source text is %a instead of %a", numeral, source, number))
  end
end

local signs = { "", "", "-", "+", "  -" }
local function digits(count)
  local made = {}
  for i = 1, count do made[i] = random(0, 9) end
  return table.concat(made)
end

math.randomseed(42)
for _ = 1, 120000 do
  local numeral = signs[random(#signs)] .. digits(random(0, 12)) .. "." .. digits(random(1, 12))
  if random(3) == 1 then numeral = numeral .. "e" .. random(-40, 40) end
  if random(9) == 1 then numeral = numeral .. "  " end
  check(numeral)
  check(format("%.17g", (random() - 0.5) * 10.0 ^ random(-30, 30)))
end

-- Around the largest significand and the largest powers of ten of the short way, and beyond all.
for _, significand in ipairs { "0", "1", "9007199254740991", "9007199254740992", "9007199254740993", "9007199254740994",
  "90071992547409921", "18446744073709551616", "000000000000000000000000000005" } do
  for power = -45, 45 do
    check(significand .. "e" .. power)
    check("-" .. significand .. ".5E" .. power)
    check("." .. significand .. "e+" .. math.abs(power))
    check(significand .. ".e0" .. math.abs(power))
    check("0." .. ("0"):rep(math.abs(power)) .. significand)
  end
end
for _, power in ipairs { "308", "309", "-308", "-323", "-324", "-400", "99999999999999999999", "-99999999999999999999" } do
  check("1.5e" .. power)
  check("0.0e" .. power)
  check("-0e" .. power)
end

for _, numeral in ipairs { "", " ", "-", ".", "-.", "e5", ".e5", "1e", "1e+", "1.5e-", "1.5.", "1.5x", "1.5 5", "1,5", "--1.5",
  "1.5e5.", "1.5\0", "inf", "nan", "1.5f", "1.5e 5", "- 1.5", "0x", "1_5.0" } do
  if tonumber(numeral) ~= nil then error(format("%q is no number", numeral)) end
end
-- A comma is a radix mark where the locale has it for one, beside the dot.
for _, locale in ipairs { "de_DE.UTF-8", "de_DE", "fr_FR.UTF-8", "pt_BR.UTF-8" } do
  if os.setlocale(locale, "numeric") then
    check("1.5")
    if tonumber("1.25") ~= 5 / 4 or tonumber("-1,25e1") ~= -12.5 then error(locale) end
  end
end
print("ok")
