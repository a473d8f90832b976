-- Continuation bytes that belong to no character.
local function count(s, lax)
  local n = 0
  for _ in utf8.codes(s, lax) do
    n = n + 1
  end
  return n
end

for _, s in ipairs{"ab\x80c", "\x80c", "c\xBF", "\u{E9}\x80", "\xBF"} do
  for _, lax in ipairs{false, true} do
    local ok, message = pcall(count, s, lax)
    assert(not ok and message:find("invalid UTF-8 code", 1, true))
  end
end
assert(count("") == 0 and count("a\u{E9}\u{20AC}\u{10FFFF}") == 4 and count("\u{7FFFFFFF}\0", true) == 2)
print("ok")
