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
print(("%5d|%-5d|%05d|%+d|%x|%X|%o|%c|%i"):format(42, 42, 42, 42, 255, 255, 8, 65, 7))
print(("%f|%10.3f|%e|%g|%a|%G"):format(1.5, math.pi, 12345.678, 1e100, 0.5, 1e-10))
print(("%s|%10s|%-10s|%.3s|%q|%%"):format("text", "right", "left", "cut off", 'quote "this"\n\0'))
print(("%q %q %q %q"):format(1, 1.5, math.mininteger, true), ("%s %s"):format(nil, setmetatable({}, {__tostring = function() return "object" end})))
for i = 1, 25 do assert(#("%-" .. i .. "s|"):format("ab") == math.max(i, 2) + 1) end
print(#("%s"):format(("z"):rep(3000)), #("%99.50f"):format(1 / 3))
print(fails(string.format, "%d", 1.5), fails(string.format, "%y", 1), fails(string.format, "%d"))
local packed = string.pack("<i4 >I2 z s1 d !8 j B", -5, 513, "zero", "short", 2.5, 1 << 40, 200)
print(#packed, string.unpack("<i4 >I2 z s1 d !8 j B", packed))
for i = 1, 16 do assert(string.unpack("<i" .. i, string.pack("<i" .. i, 77)) == 77) end
print(string.packsize("i4 i8 d"), string.pack("s2", "prefix"):byte(1, 2), #string.pack("c200", "padded"))
print(fails(string.pack, "i1", 300), fails(string.unpack, "z", "no end"), fails(string.pack, "i17", 1))
print(tostring(1e15), tostring(-0.0), tostring(1 / 0), 2^63, math.maxinteger + 0.0, 10 // 3, -7 % 3, 7.5 % -2, 1e308 * 10)
print(tonumber("0x1p4"), tonumber("  12  "), tonumber("1e1"), tonumber("z", 36), tonumber("8", 8), tonumber("12a"), 0x7fffffffffffffff + 1)
print(math.floor(3.7), math.ceil(-3.7), math.max(1, 5, 3), math.min(2, -2), math.fmod(7, 3), math.tointeger("8"), math.ult(1, -1), math.abs(-4))
print(math.modf(3.25), math.sqrt(2), math.type(1), math.type(1.0), math.type("1"), 7 & 3, 7 | 8, 5 ~ 1, ~0, 1 << 4, 256 >> 4)
math.randomseed(42, 7); print(math.random(1, 100), math.random(1, 100), math.random(0) ~= nil, (math.random()))
