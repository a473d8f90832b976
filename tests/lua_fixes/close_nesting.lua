-- Each coroutine closes another one when it is closed: an error in the end, not an overflow of the C stack.
local innermost = false
for _ = 1, 100000 do
  local previous = innermost
  innermost = coroutine.create(function ()
    local _ <close> = setmetatable({}, {__close = function ()
      if previous then
        assert(coroutine.close(previous))
      end
    end})
    coroutine.yield()
  end)
  assert(coroutine.resume(innermost))
end
local ok, message = coroutine.close(innermost)
assert(not ok and message:find("C stack overflow", 1, true))

-- A chain of no great length is closed to its end.
local closed = 0
local last = false
for _ = 1, 50 do
  local previous = last
  last = coroutine.wrap(function ()
    local _ <close> = setmetatable({}, {__close = function ()
      closed = closed + 1
      if previous then
        pcall(previous)
      end
    end})
    coroutine.yield()
    error("stop")
  end)
  last()
end
assert(not pcall(last) and closed == 50)
print("ok")
