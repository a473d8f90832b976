local file <close> = assert(passOn(io.tmpfile()))
print(io.type(file), io.type(io.stdout), io.type(42))
for i = 1, 40 do file:write("line ", i, " ", i / 4, "\n") end
print(file:seek("cur") > 0, file:seek("set"))
print(file:read("l")); print(file:read("L")); print(file:read(4, "n", "n", "l"))
local count = 0
for line in file:lines() do count = count + #line end
print(count, file:read("a"), file:read("l"), file:read(0))
file:seek("set", 0)
print(#file:read("a"))
file:seek("set", 5)
for a, b in file:lines(1, 3) do count = count + #a + #b; if count > 700 then break end end
print(count, file:setvbuf("full", 1024), file:flush() == file)
file:write(("x"):rep(5000))
file:seek("set", 0)
print(#file:read(3000), #file:read(10000), tostring(file):match("^file %("))
local name = (TMPNAME or os.tmpname())
local done <close> = setmetatable({}, {__close = function() os.remove(name) end})
do
  local out <close> = assert(io.open(name, "w"))
  out:write("1 2 0x10 -7.5e1 word\n", "second line\n")
end
local numbers = {}
for n in io.lines(name, "n") do numbers[#numbers + 1] = n end
print(table.concat(numbers, " "))
for line in io.lines(name) do print(line) end
local input = io.input()
io.input(name); print(io.read("L")); io.close(io.input()); io.input(input)
local append = assert(io.open(name, "a+b")); append:write("third\n"); append:close()
print(tostring(append), #assert(io.open(name, "rb")):read("a"))
print(select("#", io.open("/no/such/file")), select(3, io.open("/no/such/file")), fails(io.lines, "/no/such/file"))
print(fails(append.read, append), fails(io.open, name, "zz"), fails(file.seek, file, "nowhere"))
