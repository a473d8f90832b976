-- A table with weak keys and values gets a new metatable while the collector marks: the metatable must survive,
-- in whichever step of the cycle it comes.
collectgarbage("incremental", 1000, 100, 1)
collectgarbage("stop")
for steps = 0, 100000 do
  collectgarbage()
  local weak = setmetatable({}, {__mode = "kv"})
  local cycle_done = false
  for _ = 1, steps do
    cycle_done = cycle_done or collectgarbage("step", 0)
  end
  setmetatable(weak, {__mode = "kv", name = "metatable"})
  repeat until collectgarbage("step", 1000)
  for _ = 1, 100 do  -- take the place of what was freed
    local _ = {name = "other"}
  end
  assert(getmetatable(weak).name == "metatable")
  if cycle_done then break end
  assert(steps < 100000)
end
print("ok")
