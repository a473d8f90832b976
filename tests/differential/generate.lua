-- Writes random programs, FIRST to LAST, into a folder: lua generate.lua FIRST LAST FOLDER
--
-- Each goes many of the ways that vendor/speed-*.patch shorten: fields and constructors, calls and results, loops,
-- concatenation, formats, patterns, metamethods that yield, hooks that write down every line. Statements mean
-- anything or nothing; what fails is caught, and its message printed. No program prints an address, or what depends on
-- the order of keys that are strings.

local prelude = [==[
-- ends what would run for too long
local fuel
local function burn() fuel = fuel - 1; if fuel < 0 then error("fuel", 0) end end
local function show(value, depth)
  depth = depth or 0
  local kind = math.type(value) or type(value)
  if kind == "integer" then return ("%d"):format(value) end
  if kind == "float" then return value ~= value and "nan" or ("%.17gf"):format(value) end
  if kind == "string" then return ("%q"):format(#value > 120 and value:sub(1, 100) .. "#" .. #value or value) end
  if kind == "boolean" then return tostring(value) end
  if kind ~= "table" or depth >= 3 then return kind end
  local items = {}
  for key, item in next, value do
    fuel = fuel - 1
    items[#items + 1] = show(key, 3) .. "=" .. show(item, depth + 1)
  end
  table.sort(items)
  return "{" .. table.concat(items, ",") .. "}"
end
local function out(...)
  burn()
  local hook, mask, count = debug.gethook()  -- it would see the order of keys
  debug.sethook()
  local items = table.pack(...)
  for i = 1, items.n do items[i] = show(items[i]) end
  print(table.concat(items, " "))
  debug.sethook(hook, mask, count)
end
local function try(f, ...) return out(pcall(f, ...)) end
local function traced(f, ...) return out(xpcall(f, debug.traceback, ...)) end
local function hooked(mask, count, f, ...)
  local seen = {}
  debug.sethook(function(event, line) if #seen < 300 then seen[#seen + 1] = event:sub(1, 5) .. (line or "") end end,
    mask, count)
  local results = table.pack(pcall(f, ...))
  debug.sethook()
  out(table.concat(seen, " "), table.unpack(results, 1, results.n))
end
local function resumed(f, ...)
  local co, given = coroutine.create(f), table.pack(...)
  for i = 1, 12 do
    local results = table.pack(coroutine.resume(co, table.unpack(given, 1, given.n)))
    out(i, table.unpack(results, 1, results.n))
    if coroutine.status(co) == "dead" then break end
    given = table.pack(i, "r" .. i)
  end
  out(coroutine.close(co))
end
local function id(...) return ... end
local function tail(n, ...) burn(); if n <= 0 then return ... end return tail(n - 1, n, ...) end
local function count(...) local a, b = ...; return select("#", ...), a, b, ... end
-- A: every operation has a metamethod. B: inherits, functions for absent fields. C: a table for them. Y: all yield.
local A, B, C, Y = {}, {}, {}, {}
A.__index = A
for _, event in ipairs{"add", "sub", "mul", "div", "mod", "pow", "unm", "idiv", "band", "bor", "bxor", "shl", "shr",
    "bnot", "concat"} do
  A["__" .. event] = function(a, b)
    burn()
    return (type(a) == "table" and "T" or show(a)) .. event .. (type(b) == "table" and "T" or show(b))
  end
end
local function length(value) burn(); return type(value) == "table" and rawlen(value) or 5 end
A.__eq = function(a, b) return length(a) == length(b) end
A.__lt = function(a, b) return length(a) < length(b) end
A.__le = function(a, b) return length(a) <= length(b) end
A.__len = function(a) return length(a) + 100 end
A.__call = function(self, ...) burn(); return select("#", ...), ... end
A.__close = function(_, message) burn(); out("close", message) end
A.m = function(self, x) burn(); self.n = (self.n or 0) + 1; return self.n, x end
setmetatable(B, {__index = A})
B.__index = function(_, key) burn(); return type(key) == "string" and #key == 1 and key .. "!" or A[key] end
B.__newindex = function(t, key, value) burn(); rawset(t, key, type(value) == "number" and value + 1 or value) end
C.store = {}
C.__index, C.__newindex = C.store, C.store
for _, event in ipairs{"add", "sub", "concat", "eq", "lt", "le", "len", "index", "unm", "call"} do
  Y["__" .. event] = function() burn(); return coroutine.yield(event) end
end
Y.__newindex = function(t, key) burn(); rawset(t, key, coroutine.yield("newindex")) end
Y.__close = function() burn(); coroutine.yield("close") end
local function newA(...) return setmetatable({...}, A) end
local function newB(...) return setmetatable({...}, B) end
local function newC() return setmetatable({}, C) end
local function newY() return setmetatable({}, Y) end
local g1, g2, g3 = 1, "s", {1, 2, 3, x = 1, y = "yy"}
local t1, t2, t3 = {}, {10, 20, 30, 40}, {a = 1, b = 2}
]==]

local random = math.random
local function pick(list) return list[random(#list)] end
local function chance(percent) return random(100) <= percent end

-- Fills a template: $e an expression, $v a simple one, $a arguments, $s a statement, $b a block, $t a table, $f a
-- field's name, $g a variable, $n a number from 1 to 9, $q a string, $p a pattern, $r what replaces, $c a constructor,
-- $d a directive of string.format.
local fill

local simple = {"nil", "true", "false", "1", "(-1)", "0", "0.0", "(-0.0)", "2", "3", "7", "(-7)", "2.5", "1e308",
  "(1/0)", "(0/0)", "(2^53)", "math.maxinteger", "math.mininteger", "255", "('10')", "('0x10')", "(' 5 ')",
  "('abc')", "('1e1')", "('')", "('x')", "(('k'):rep(45))", "print", "id", "math.pi", "('a\\0b')", "3.0", "100",
  "1e15", "1e16", "0.1", "{}", "({1, 2})", "newA(1, 2)", "newA()", "newB(1)", "newC()", "$g", "$g", "$g"}
local strings = {"('hello world')", "('a=1, b=2')", "('(x(y)z)')", "('')", "('aaa')", "('12,34,,56')", "('x.y.z')",
  "(('ab'):rep(30))", "('  trim  ')", "('\\n\\t\\0z')", "('abcabc')"}
local patterns = {".", "%a+", "%d+", "^%s*", "(%w+)=(%w+)", "[^,]+", ".-x", "%b()", "%f[%w]%w+", "x*", "(.)(.)", "()",
  "[a-c]+", "[%d.]+$", "a?b", "%1", "(", "[", "%", "^", "$", "x-y", "[]]", "[^]]", "(a(b))", ".*,", "abc", "%.", "%("}
local directives = {"%d", "%5d", "%-5d|", "%05d", "%x", "%o", "%c", "%s", "%10s", "%.3s", "%q", "%g", "%.14g", "%.3f",
  "%10.2f", "%e", "%i", "%a", "%+d", "% d", "%#x", "%.0f", "%.20f", "%%", "%5", "%y", "%.99f", "%s %s", "%d,%d"}
local operators = {"+", "-", "*", "/", "//", "%", "^", "..", "&", "|", "~", "<<", ">>", "<", "<=", ">", ">=", "==",
  "~=", "and", "or"}
local fields = {"a", "b", "c", "x", "y", "z", "n", "name", "foo", "m", "len", "i1", "i2", "i3", "i4", "i5",
  "a_long_name_that_is_still_short_for_lua"}

local library = {"string.format('$d', $a)", "string.format('$d$d', $e, $a)", "tostring($e)", "tonumber($e)",
  "tonumber($q, 16)", "tonumber($q, 36)", "$q:find('$p')", "$q:find('$p', -3)", "$q:find('$p', 2, true)",
  "$q:match('$p')", "$q:match('$p', 2)", "$q:gsub('$p', $r)", "$q:gsub('$p', $r, 1)", "string.rep($q, 3)",
  "string.rep($q, 70, '-')", "string.rep($q, -1)", "string.rep($q, 2.5)", "$q:sub($n)", "$q:sub(-$n, -2)",
  "$q:sub(math.mininteger, $n)", "$q:byte(1, -1)", "$q:byte(-$n)", "string.char(65, 0, 255)", "string.char($e)",
  "$q:upper()", "$q:reverse()", "$q:len()", "table.concat($c)", "table.concat({1, 2.5, 'x'}, $e)",
  "table.concat(t2, ',', 1, 3)", "table.unpack($c)", "table.unpack(t2, $n)", "table.unpack($c, -1, 2)",
  "table.insert(t1, $e)", "table.insert(t2, 1, $e)", "table.insert(t2, #t2 + 1, $e)", "table.insert(t2, $e, $e)",
  "table.insert(newB(1, 2), $e)", "table.insert(newA(3), 1, $e)", "table.insert($a)", "table.remove(t1)",
  "table.remove(t2, $n)", "table.remove(t2, $e)", "table.remove(newB(1, 2))", "table.remove($a)", "table.pack($a)",
  "select('#', $a)", "select($n, $a)", "select(-1, $a)", "select($e, 1, 2)", "table.move(t2, 1, 3, 2)",
  "table.move($c, 1, 3, 2, t1)", "table.move(newA(1, 2), 1, 2, 2)", "setmetatable({}, A)", "setmetatable({1}, B)",
  "setmetatable($c, nil)", "setmetatable(setmetatable({}, {__metatable = 1}), {})", "setmetatable($a)",
  "setmetatable({x = $e}, {__index = $c})", "getmetatable(setmetatable({}, {__metatable = 'p'}))", "rawget($t, $e)",
  "rawset(newB(), $e, $e)", "rawlen($e)", "rawequal($e, $e)", "math.floor($e)", "math.tointeger($e)", "math.type($e)",
  "math.fmod($e, $e)", "math.max($e, $a)", "math.ult($e, $e)", "next({$e})", "next($c, 'no key')", "count($a)",
  "(count($a))", "tail($n, $a)", "pcall(error)", "pcall(error, $e, $n)", "pcall(id, $a)", "pcall($e)",
  "(load('return ' .. $q))", "utf8.char(72, 228, 8364)", "utf8.len($q)", "string.pack('<d', $e)",
  "string.pack('>i2s1', $e, $q)", "assert($a)", "type($e)"}

local expressions = {"($e OP $e)", "($e OP $e)", "($e OP $e)", "(-$e)", "(#$e)", "(not $e)", "(~$e)", "$t.$f",
  "($e).$f", "$t[$e]", "($e)[$e]", "id($a)", "($e):m($a)", "($e):foo()", "($e):sub($n)", "$c", "$c", "$c", "LIB",
  "LIB", "LIB", "LIB", "(function(...) $s return $e end)($a)", "$v .. $v .. '/' .. $v",
  "'p' .. 1.5 .. $v .. 12 .. $g .. ''"}

local yielding = {"out(y + 1)", "out(1 - y)", "out(y.foo)", "y.foo = 1", "out(y < z)", "out(y <= 1)", "out(y == z)",
  "out(#y)", "out('a' .. y .. 'b')", "out(y(1, 2))", "out(-y)", "do local c <close> = y end",
  "for i = 1, 2 do local c <close> = y; if i == 1 then break end end", "local t = {y.a, y.b, x = y.c}; out(t)",
  "if y < z then out(1) end", "y.x, y.y = 1, y.z", "out(y.a and y.b or y.c)", "out(1 + (y + z))",
  "out(pcall(function() return y.q end))", "out(select('#', y(), y()))", "do return y.last end"}

local statements = {"$g = $e", "$g = $e", "$t.$f = $e", "$t[$e] = $e", "$t[$n] = $e",
  "local o = {}; o.$f = $e; o.$f = $e; o.$f = $e; o.$f = $e; out(o); o.x = nil; o.y = 1; out(o)",
  "local o = newB(); o.$f = $e; o.$f = $e; out(o, o.$f, o:m(1)); g3 = o",
  "local o = setmetatable({x = $e}, A); o.$f = $e; o.$f = $e; o.$f = $e; o.$f = $e; o.$f = $e; o.$f = $e; g3 = o",
  "for i = 1, $n do burn(); $b if i == 2 then break end end",
  "for i = 3, 1, -1 do burn(); $b do goto continue end ::continue:: end",
  "for i = math.maxinteger - 2, math.maxinteger do out(i) end", "for i = 1.0, 2.5, 0.5 do out(i); $s end",
  "for i = $e, $n, $e do burn(); out(i) end", "for i = 1, math.huge, 1e300 do out(i); break end",
  "for k, v in ipairs(t2) do burn(); out(k, v); $s end", "for k, v in pairs{1, 2, $e} do burn(); out(k, v) end",
  "for k in pairs(t2) do t2[k] = nil end; out(t2)", "for _, v in ipairs(newB(1, 2)) do burn(); g1 = v end",
  "for a, b in $q:gmatch('$p') do burn(); out(a, b) end", "for k in pairs{$a} do burn(); $s end",
  "for a in coroutine.wrap(function() coroutine.yield(1); $s end) do out(a) end", "for k in $e do burn() end",
  "if $e then $b else $b end", "while $e do burn(); $b if true then break end end",
  "repeat burn(); local r = $e; $s until r or true", "do local c <close> = newA(); $b end",
  "do local c <close> = $v; $b end", "try(function(...) $b return ... end, $a)", "try(function() $b return $e end)",
  "traced(function() $b return $e end)", "traced(function() return g1.x.y end)", "traced(function() t1.foo() end)",
  "traced(function() return g3:nope() end)", "traced(function() return $g + t1 end)", "out($a)", "out($e)",
  "local fs = {}; for i = 1, 4 do local j = i * 10; fs[i] = function(x) j = j + (x or 1); return i, j end; \z
    if i == 3 then break end end; out(fs[1](), fs[1](5), fs[2](), fs[3](g1))",
  "resumed(function(...) $b local r = coroutine.yield($a) $b return r end, $a)",
  "resumed(function() local y, z = newY(), newY(); YIELD; YIELD; YIELD end)",
  "hooked('l', 0, function(...)\n$b\n$s\nreturn $e end, $a)",
  "hooked('cr', 0, function(...)\n$s\n$s return $e end, $a)", "hooked('', $n, function()\n$b\nreturn $e end)",
  "hooked('crl', 7, function()\n$s\n$s\nend)", "local a, b, c = $a; a, b = b, a; t1[1], t1[2] = a, c; out(a, b, c)",
  "local function f(n, ...) burn(); if n == 0 then return $e end; $s return f(n - 1, ...) end; out(f($n))",
  "local function f(n, ...) burn(); if n == 0 then return ... end; return (f(n - 1, n, ...)) end; out(f($n, $a))",
  "(function() local i = 0; ::top:: i = i + 1; burn(); do $s end if i < 3 then goto top end end)()",
  "table.sort(t2)", "table.sort($c, function(a, b) return a > b end)", "table.sort($e)", "collectgarbage()",
  "collectgarbage('step')", "collectgarbage('incremental')", "collectgarbage('generational')",
  "t2 = {10, 20, 30, 40}", "t1 = {}", "g3 = {1, 2, 3, x = 1, y = 'yy'}", "t3 = {a = 1, b = 2}",
  "local p = $c; for i = 1, 20 do p[i] = i end; out(p, #p)",
  "local p = {}; for i = 1, 9$n do p['f' .. i % 7$n] = i end; out(p)",
  "local p = $v; for i = 1, 12 do p[#p + 1] = i * 0.5 end; out(p)",
  "local p = {}; for i = 9, 1, -1 do p[i] = {i} end; out(#p)",
  "local s = ''; for i = 1, 2$n do s = s .. i .. ',' end; out(s)",
  "local s = $q; for i = 1, $n do s = s .. $q .. i / 4 end; out(s)", "local _ = LIB", "id($a)",
  "out(pcall(error, $e))", "if g1 then error($e) end",
  "out(debug.getinfo(1, 'l').currentline, debug.getinfo(1, 'n').name)"}

local depth = 0

local function constructor()
  local items = {}
  for _ = 1, random(0, 6) do
    items[#items + 1] = fill(pick{"$e", "$v", "$f = $e", "$f = $v", "[$n] = $e", "[$v or 1] = $v", "[2.5] = $v"})
  end
  -- Above 100 items table.sort chooses by the clock.
  if chance(4) then for i = 1, random(45, 90) do items[#items + 1] = tostring(i) end end
  if chance(4) then for i = 1, random(5, 40) do items[#items + 1] = ("k%d = %d"):format(i, i) end end
  if chance(20) then items[#items + 1] = pick{"id(1, 2, 3)", "count(1, nil)", "table.unpack(t2)", "id()"} end
  return "({" .. table.concat(items, ", ") .. "})"
end

local function list(kind, separator, least, most)
  local items = {}
  for i = 1, random(least, most) do items[i] = fill(kind) end
  return table.concat(items, separator)
end

local holes = {
  e = function() return fill(depth > 4 and pick(simple) or chance(30) and pick(simple) or pick(expressions)) end,
  v = function() return fill(pick(simple)) end,
  a = function() return list("$e", ", ", 1, 4) end,
  s = function() return depth > 5 and fill("$g = $v; ") or fill(pick(statements)) .. "; " end,
  b = function() return list("$s", "", 1, 3) end,
  t = function() return pick{"t1", "t2", "t3", "g3"} end,
  f = function() return pick(fields) end,
  g = function() return pick{"g1", "g2", "g3", "t1", "t2", "t3"} end,
  n = function() return tostring(random(9)) end,
  q = function() return pick(strings) end,
  p = function() return pick(patterns) end,
  r = function() return pick{"'<%0>'", "'%1'", "'%%'", "'%2'", "id", "{a = 'A', x = 1, hello = false}", "string.upper",
    "function() return nil end", "'%'", "g2", "function() return {} end"} end,
  c = constructor,
  d = function() return pick(directives) end,
}

function fill(template)
  depth = depth + 1
  local text = template:gsub("OP", function() return pick(operators) end)
    :gsub("LIB", function() return pick(library) end):gsub("YIELD", function() return pick(yielding) end)
    :gsub("%$(%l)", function(hole) return holes[hole]() end)
  depth = depth - 1
  return text
end

local first, last, folder = tonumber(arg[1]), tonumber(arg[2]), arg[3]
for seed = first, last do
  math.randomseed(seed)
  local file <close> = assert(io.open(("%s/program%d.lua"):format(folder, seed), "w"))
  file:write(prelude)
  for _ = 1, random(15, 40) do
    file:write("fuel = 2000; ", fill(pick{"pcall(try, function() $s end)\n",
      "pcall(traced, function(...) $s\nend, 1, 2)\n", "pcall(try, function() $s return\n$e end)\n"}))
  end
  file:write("fuel = 1000; out(g1, g2, g3, t1, t2, t3)\n")
end
