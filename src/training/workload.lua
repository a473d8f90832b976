-- What the build runs to see which ways through Lua are the usual ones: a bit of everything that programs do, none of
-- it for long, and what is usual more often than what is rare. Nothing here measures anything. The same steps in every
-- run: no clock, no random seed, and hardly an address (that of objects as keys: a few).

local folder = debug.getinfo(1, "S").source:match("^@(.*[/\\])") or ""
local parts = {}
for k, name in ipairs({ "language", "tables", "libraries", "programs" }) do
  parts[k] = dofile(folder .. name .. ".lua")
end

local function all()
  for _, part in ipairs(parts) do part() end
end

for _ = 1, 3 do all() end

-- The collector's other mode; collections a whole and a step at a time; and the questions one can ask it.
collectgarbage("incremental", 200, 100, 13)
all()
collectgarbage()
repeat until collectgarbage("step", 10)
collectgarbage("stop")
if not collectgarbage("isrunning") then collectgarbage("restart") end
collectgarbage("setpause", collectgarbage("setpause", 100))
collectgarbage("setstepmul", collectgarbage("setstepmul", 200))
for _ = 1, 100 do
  if collectgarbage("count") == 0 then error("nothing is in use") end
end
collectgarbage("generational", 20, 100)
collectgarbage("step")
