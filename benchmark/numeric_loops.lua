-- Number crunching that hardly allocates: floats in local variables and one table filled in advance.
-- An allocator can only lose here; both programs should take the same time.

local SIZE = assert(tonumber(arg[1] or 640), "the argument is a picture width in points")
local PLANET_STEPS, SIEVE_SIZE, SIEVE_PASSES = SIZE * 5000, 200000, 20

local function mandelbrot(size, limit)
  local inside = 0
  for row = 0, size - 1 do
    local cy = 2 * row / size - 1
    for column = 0, size - 1 do
      local cx = 2 * column / size - 1.5
      local x, y, steps = 0.0, 0.0, 0
      while steps < limit and x * x + y * y <= 4 do
        x, y = x * x - y * y + cx, 2 * x * y + cy
        steps = steps + 1
      end
      if steps == limit then inside = inside + 1 end
    end
  end
  return inside
end

-- One planet around one sun, by leapfrog steps: everything stays in locals.
local function orbit(steps, dt)
  local x, y, vx, vy = 1.0, 0.0, 0.0, 1.0
  for _ = 1, steps do
    local pull = -dt / (x * x + y * y) ^ 1.5
    vx, vy = vx + x * pull, vy + y * pull
    x, y = x + vx * dt, y + vy * dt
  end
  return (vx * vx + vy * vy) / 2 - 1 / math.sqrt(x * x + y * y)
end

local function sieve(marks, size)
  for number = 2, size do marks[number] = true end
  local count = 0
  for number = 2, size do
    if marks[number] then
      count = count + 1
      for multiple = number * number, size, number do marks[multiple] = false end
    end
  end
  return count
end

print(string.format("mandelbrot points inside %d", mandelbrot(SIZE, 120)))
print(string.format("orbit energy %.6f", orbit(PLANET_STEPS, 0.001)))

local marks, primes = { true }, 0
for _ = 1, SIEVE_PASSES do primes = sieve(marks, SIEVE_SIZE) end
print(string.format("primes below %d: %d", SIEVE_SIZE, primes))
