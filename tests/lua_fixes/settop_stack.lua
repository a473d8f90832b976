-- A C function pops a variable to be closed, and closing it makes the stack grow.
local probe = require "probe"

local function deep(n)
  if n > 0 then
    deep(n - 1)
  end
  return 0
end

collectgarbage()  -- the stack is small again
for depth = 1, 2000, 100 do
  coroutine.wrap(function ()
    local guard = setmetatable({}, {__close = function () deep(depth) end})
    assert(probe.pop_closing(guard) == "result")
  end)()
end
print("ok")
