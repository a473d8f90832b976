local function sample(a, b, ...) local c = a; return debug.getinfo(1, "nSlutfrL"), c end
local info = sample(1, 2, 3)
print(info.name, info.nparams, info.isvararg, info.short_src ~= nil, info.func == sample, next(info.activelines) ~= nil)
local function locals() local x, y = 10, {}; local names = {}; for i = 1, 3 do names[i] = debug.getlocal(1, i) end return names end
print(table.concat(locals(), " "), debug.getlocal(sample, 1), debug.setlocal(1, 1, sample) ~= nil)
local up = 1
local function uses() return up end
print(debug.getupvalue(uses, 1), debug.setupvalue(uses, 1, 5), up, debug.upvalueid(uses, 1) ~= nil)
local other = 9
local function second() return other end
debug.upvaluejoin(uses, 1, second, 1); print(uses())
local lines, calls = 0, 0
debug.sethook(function(event) if event == "line" then lines = lines + 1 else calls = calls + 1 end end, "crl", 50)
for i = 1, 20 do local t = {i}; sample(t) end
debug.sethook()
print(lines > 0, calls > 0, debug.gethook())
local co = coroutine.create(function() local inside = {}; coroutine.yield(inside) end)
resume(co)
print(#debug.traceback(co) > 0, debug.getlocal(co, 1, 1), debug.getinfo(co, 1, "l").currentline > 0)
debug.sethook(co, function() end, "l"); resume(co)
print(debug.getmetatable("").__index == string, debug.getregistry() ~= nil, debug.getuservalue(io.stdout, 1))
local function deep(n) if n == 0 then return debug.traceback("deep", 1) end local r = deep(n - 1); return r end
print(select(2, deep(40):gsub("\n", "\n")) > 10)
