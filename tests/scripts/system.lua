local t = os.time{year = 2020, month = 2, day = 29, hour = 12}
print(os.date("!%Y-%m-%d", 86400 * 365), os.date("!*t", 0).year, type(t), os.time{year = 2020, month = 14, day = 1, hour = 12} > t)
local fields = os.date("*t", t)
local names = {}
for k in pairs(fields) do names[#names + 1] = k end
table.sort(names)
print(table.concat(names, " "), fields.yday)
print(os.getenv("NO_SUCH_VARIABLE_HERE"), type(os.clock()), os.difftime(t + 60, t), type(os.time()))
for _, format in ipairs{"%A", "%B %d", "%H:%M:%S", "%j", "%%", "%p", "%y %m"} do assert(#os.date("!" .. format, 1e9) > 0) end
print(fails(os.date, "%Ez"), fails(os.time, {}), fails(os.date, "*t", 1 << 60))
local name = (TMPNAME or os.tmpname())
print(os.rename(name, name .. ".moved"), os.remove(name .. ".moved"), select(3, os.remove(name)))
print(os.setlocale("C"), os.setlocale("no such locale"), os.execute() ~= nil)
print(collectgarbage("count") > 1, collectgarbage("step"), collectgarbage("isrunning"), type(collectgarbage()))
local before = collectgarbage("generational")
for i = 1, 100 do local x = {i, {}} end
collectgarbage("step")
print(collectgarbage("incremental"), collectgarbage("incremental", 150, 200, 10), collectgarbage(before))
