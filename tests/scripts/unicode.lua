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
