-- A coroutine left inside of xpcall is closed: the handler of that xpcall has nothing to do with it any more.
local thread = coroutine.create(function ()
  local _ <close> = setmetatable({}, {__close = function ()
    local value = 134  -- takes the handler's place in the stack
    error(value)
  end})
  xpcall(coroutine.yield, function () return "handled" end)
end)
assert(coroutine.resume(thread))
local ok, value = coroutine.close(thread)
assert(not ok and value == 134, value)
print("ok")
