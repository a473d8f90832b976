-- An emergency collection while '__newindex' grows a table that only a weak metatable holds. Run by host.c, which
-- fails the request and whose allocator overwrites what is freed.
local weak = setmetatable({__newindex = {}}, {__mode = "v"})
local object = setmetatable({}, weak)
for i = 1, 10 do
  fail_next()
  object[i] = i
end
fail_never()
print("ok")
