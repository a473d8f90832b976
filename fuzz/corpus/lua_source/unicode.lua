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
local text = utf8.char(72, 228, 8364, 119070, 0x7FFFFFFF)
print(#text, utf8.len(text, 1, -1, true), utf8.len("\xff"), utf8.codepoint("häß", 1, -1))
for p, c in utf8.codes("aäb€") do print(p, c) end
local points = {}
for i = 1, 60 do points[i] = i * 37 + 100 end
local s = utf8.char(table.unpack(points))
local n = 0
for p, c in utf8.codes(s) do n = n + 1; assert(c == points[n] and utf8.offset(s, n) == p) end
print(n, #s, utf8.len(s), #s:gsub(utf8.charpattern, "."))
print(utf8.offset("aäb", 3), utf8.offset("aäb", -1), utf8.codepoint("€"))
print(fails(utf8.codepoint, "\xff"), fails(utf8.char, -1), fails(function() for _ in utf8.codes("a\xffb") do end end), fails(utf8.len, "x", 5))
