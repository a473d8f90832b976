-- Logging coordinates: short strings put together from two formatted random floats and dropped at once.
-- 300,000 x 10 of them; long formatting, short lives, a busy string table.

local ROUNDS = assert(tonumber(arg[1] or 300000), "the argument is a number of rounds")
local LINES = 10

math.randomseed(42)
local random = math.random

local function well_formed(line)
  return line:find("^x:[%d.e-]+,y:[%d.e-]+$") ~= nil
end

-- Checking a line costs more than making it, so one line per round is checked.
local lines, good = 0, 0
for _ = 1, ROUNDS do
  local line
  for _ = 1, LINES do
    local x, y = random(), random()
    line = "x:" .. tostring(x) .. ",y:" .. tostring(y)
    lines = lines + 1
  end
  if well_formed(line) then good = good + 1 end
end

print(string.format("lines %d, checked %d, well formed %d", lines, ROUNDS, good))
