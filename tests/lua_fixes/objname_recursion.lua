-- The search for a name to put into an error message.
local function message_of(chunk)
  return select(2, pcall(load(chunk)))
end
t = {_ENV = {}}
t.t = t

-- A field or a string called "_ENV" is not the variable _ENV.
assert(message_of("return t._ENV.x + 1"):find("(field 'x')", 1, true))
assert(message_of("return ('_ENV').x + 1"):find("(field 'x')", 1, true))
-- The variable is, in all of its forms.
assert(message_of("return x + 1"):find("(global 'x')", 1, true))
assert(message_of("local _ENV = {}; return x + 1"):find("(global 'x')", 1, true))
assert(message_of("local _ENV = {}; return (function () return x + 1 end)()"):find("(global 'x')", 1, true))
-- Other names are as they were.
assert(message_of("local l = {}; return l.x.y"):find("(field 'x')", 1, true))
assert(message_of("local l = {}; local k = 'x'; return l[k] + 1"):find("(field '?')", 1, true))
assert(message_of("return ('x'):nothing()"):find("(method 'nothing')", 1, true))

-- A very long chain of indices.
assert(message_of("return " .. string.rep("t.", 300000) .. "x.y"):find("(field 'x')", 1, true))
print("ok")
