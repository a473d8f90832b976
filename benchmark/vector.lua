-- Game arithmetic in its plainest form: positions and velocities as throw-away {x, y} tables.
-- One pass is 30,000 x 10 pairs; nothing survives an iteration, so blocks are reused at once.

local PASSES = assert(tonumber(arg[1] or 10), "the argument is a number of passes")
local STEPS, PAIRS = 30000, 10
local DT = 0.017

math.randomseed(42)
local random = math.random

local function run_pass()
  local inside, sum = 0, 0
  for _ = 1, STEPS do
    for _ = 1, PAIRS do
      local position = { x = random(), y = random() }
      local velocity = { x = random(), y = random() }
      position.x = velocity.x * DT
      position.y = velocity.y * DT
      if position.x < DT and position.y < DT then inside = inside + 1 end
      sum = sum + position.x + position.y
    end
  end
  return inside, sum
end

local inside, sum = 0, 0
for _ = 1, PASSES do
  local pass_inside, pass_sum = run_pass()
  inside, sum = inside + pass_inside, sum + pass_sum
end

-- The mean is printed coarsely on purpose: generators differ between interpreters, their mean does not.
local pairs_made = PASSES * STEPS * PAIRS
print(string.format("pairs %d, inside %d, mean coordinate / dt %.1f",
  pairs_made, inside, sum / (2 * pairs_made * DT)))
