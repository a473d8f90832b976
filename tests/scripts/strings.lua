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

-- string.rep, against joining the same pieces one by one.
for length = 0, 4 do
  for separator_length = 0, 3 do
    local piece, separator = ("abcd"):sub(1, length), ("-+="):sub(1, separator_length)
    local pieces = {}
    for count = 0, 40 do
      assert(piece:rep(count, separator) == table.concat(pieces, separator))
      pieces[count + 1] = piece
    end
  end
end
print(#("abc"):rep(100000, ", "), ("abc"):rep(100000, ", "):sub(-7))
