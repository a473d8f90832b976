-- In a chain of calls over several lines an error has the line of its own call.
local function line_of(chunk, ...)
  local ok, message = pcall(load(chunk, "=chunk"), ...)
  assert(not ok)
  return tonumber(message:match("^chunk:(%d+):"))
end

local object = {}
function object:chain() return self end
function object:fail() error("failed", 2) end
assert(line_of("local o = ...\no\n  :chain()\n  :chain()\n  :fail()\n", object) == 5)
assert(line_of("local o = ...\no:chain()\n  .missing\n  ()\n", object) == 3)
assert(line_of("local f = ...\nf\n(f)\n(f)\n(nil)\n(f)\n", function (x) return x end) == 6)

-- The first plain call keeps the line its expression starts at.
assert(line_of("local f = nil\nf\n(\n23)\n") == 2)
print("ok")
