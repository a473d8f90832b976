-- What the scripts here share. A failure that a script provokes is tested; one for lack of memory is passed on, so
-- that a run ends either well or with "not enough memory".
local OUT = "not enough memory"

function passOn(ok, ...)
  if not ok and (...) == OUT then error(OUT, 0) end
  return ok, ...
end

-- calls a function that must fail; returns its message
function fails(f, ...)
  local ok, message = passOn(pcall(f, ...))
  assert(not ok, "this should have failed")
  return message
end

-- load, or loadfile: what they return
function loaded(f, ...)
  if not f and (...) == OUT then error(OUT, 0) end
  return f, ...
end

function resume(co, ...)
  return passOn(coroutine.resume(co, ...))
end
print(loaded(load("return 1 + 1"))(), loaded(load("syntax error here")), loaded(load("x = ", "=name")))
local parts, i = {"local a = 1; ", "local b = 2; ", "return a + b + ", "..."}, 0
print(loaded(load(function() i = i + 1; return parts[i] end))(10))
local env = {}
loaded(load("x = 1; function f(y) return x + y end", "chunk", "t", env))()
print(env.f(41), x)
local source = {"local t = {}"}
for n = 1, 60 do source[#source + 1] = ("t[%d] = function(a, b, ...) local c = a %s b; return c + %d, '%s', ... end"):format(n, n % 2 == 0 and "*" or "+", n, ("s"):rep(n)) end
source[#source + 1] = "return t"
source = table.concat(source, "\n")
local t = loaded(load(source))()
print(#t, t[10](3, 4, "rest"))
local dumped = string.dump(t[60], true)
print(loaded(load(dumped, "binary", "b"))(6, 7), loaded(load(dumped, "binary", "t")))
local whole = loaded(load(string.dump(loaded(load(source)))))
print(select("#", whole()[30](1, 2)))
print(loaded(load(string.dump(loaded(load(source))):sub(1, 200), "cut", "b")))
print(loaded(load(function() error("reader", 0) end)), fails(load, {}))
for _, code in ipairs{"goto nowhere", "break", "local x <const> = 1; x = 2", "return '\\q'", "a.b:c = 1", "::l:: ::l::", "return 0x", "[[open", "x = }",
                      "for i do end", "local function f(...) return function() return ... end end", "return " .. ("("):rep(300), "local a " .. (", a"):rep(250)} do
  local f, e = loaded(load(code, "=bad"))
  assert(not f); print(e)
end
print(dofile == nil, passOn(pcall(dofile, "/no/such/file")), loaded(loadfile("/no/such/file")))
print(loaded(load("local a <const>, b = 10, 20; local s = 0; for i = a, b, 2 do if i % 4 == 0 then goto next end s = s + i ::next:: end return s, a // 3, b & 6, -a, not b, a .. b, #'abc', a < b and a or b"))())
