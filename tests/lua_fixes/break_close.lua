-- 'break' closes the closing value of a generic 'for', also when the body captures the loop's variables.
local function closes(capture)
  local closed = 0
  local guard = setmetatable({}, {__close = function () closed = closed + 1 end})
  for key in next, {1}, nil, guard do
    if capture then
      local _ = function () return key end
    end
    break
  end
  return closed
end

assert(closes(false) == 1)
-- The jump of this 'break' needs an OP_CLOSE of its own.
local closed = 0
local guard = setmetatable({}, {__close = function () closed = closed + 1 end})
local function captures()
  for key in next, {1}, nil, guard do
    local _ = function () return key end
    break
  end
  return closed
end
assert(captures() == 1)
assert(closes(true) == 1)
print("ok")
