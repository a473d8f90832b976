-- Runs before a script: collects garbage at random points of it, and changes the collector's mode.
local seed, period = SEED, PERIOD
SEED, PERIOD = nil, nil
local collect, sethook = collectgarbage, debug.sethook
local function random(n)
  seed = (seed * 1103515245 + 12345) % 2147483648
  return (seed >> 8) % n
end
local function stress()
  local what = random(16)
  if what < 6 then collect()
  elseif what < 12 then collect("step", random(100))
  elseif what < 14 then collect("generational", 5 + random(50), 20 + random(100))
  else collect("incremental", 110 + random(200), 50 + random(400), random(12)) end
  sethook(stress, "", 1 + random(period))
end
sethook(stress, "", 1 + random(period))
