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
local words = {}
for word in ("the quick brown fox jumps over the lazy dog"):gmatch("%a+") do
  words[#words + 1] = word:upper():reverse()
end
print(table.concat(words, " "))
print((("a,b,,c"):gsub(",", {[","] = ";"})), ("hello"):gsub("l+", "<%0>"), ("abc"):gsub("%w", function(c)
  if c ~= "b" then return c .. c end
end))
print(("x"):rep(40, "-"), #("long"):rep(500), ("abc"):byte(1, -1))
print(string.char(72, 101, 108, 108, 111), ("%d"):rep(3), ("  trim  "):match("^%s*(.-)%s*$"))
print(("key = value"):match("^(%w+)%s*=%s*(%w+)$"), ("f(a(b)c)d"):match("%b()"), ("THE (quick) fox"):find("%((%a+)%)"))
local long = {}
for i = 1, 60 do long[i] = ("line %d of the text, long enough not to be interned\n"):format(i) end
long = table.concat(long)
local count = 0
for line in long:gmatch("[^\n]*\n") do count = count + #line end
print(count, #long, long == long .. "", long < long .. "!")
for i = 1, 50 do assert(("n" .. i .. ":" .. i * 2.5):find(":", 1, true)) end
print(fails(string.rep, "x", 1 << 60), fails(string.gsub, "x", "[", ""), fails(string.char, 256))
