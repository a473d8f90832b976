package.preload.first = function(name, extra) return {name = name, extra = extra, second = require("second")} end
package.preload.second = function() return {value = 2} end
package.preload.nothing = function() end
print(require("first").name, require("first").extra, require("first").second == require("second"), require("nothing"))
print(package.loaded.first ~= nil, (package.searchpath("no.module", "./?.lua;/tmp/?/x.lua")))
print((fails(require, "no.such.module"):gsub("'[^']*/[^']*'", "'PATH'")):match("module 'no.such.module' not found"))
table.insert(package.searchers, 2, function(name)
  if name:match("^made%.") then return function(n, where) return {n, where} end, "somewhere" end
  return "\n\tnot made"
end)
for i = 1, 15 do assert(require("made.m" .. i)[2] == "somewhere") end
local name = (TMPNAME or os.tmpname())
local done <close> = setmetatable({}, {__close = function() os.remove(name) end})
do local f <close> = assert(io.open(name, "w")); f:write("local name, where = ...\nreturn {where == package.path, name}\n") end
package.path = name
print(table.unpack((require("from a file"))))
print(loaded(loadfile(name))("direct")[2], dofile(name)[2])
print(select(3, package.loadlib("/no/such/library.so", "*")), package.config:sub(1, 1))
package.preload.broken = function() error("broken module", 0) end
print(fails(require, "broken"))
