-- An iterator of gmatch called again after its pattern was too complex.
local n = 300000
local iterator = string.gmatch(string.rep("a", n), string.rep("a?", n))
for _ = 1, 3 do
  local ok, message = pcall(iterator)
  assert(not ok and message:find("pattern too complex", 1, true))
end
print("ok")
