-- What comes with Lua: strings and patterns, mathematics, files, dates, UTF-8.

-- Strings: built, formatted, compared, searched, taken apart.
local function strings(n)
  local parts, total = {}, 0
  for k = 1, n do
    local line = "line " .. k .. ": " .. k * 0.5 .. "\n"
    parts[#parts + 1] = line
    if line == "line 7: 3.5\n" or line < "line 5" or line ~= parts[1] then total = total + #line end
    total = total + line:byte(1) + #line:sub(2, 5) + #line:upper() + (line:find(":", 1, true) or 0)
    parts[#parts + 1] = string.format("%d %5.2f %s %q %x %-6s|", k, k / 3, "text", "quoted", k, "left")
    parts[#parts + 1] = tostring(k) .. tostring(k + 0.25) .. tostring(k % 2 == 0)
    total = total + tonumber("12") + tonumber("0x1F") + tonumber("3.75") + math.tointeger(k)
  end
  local text = table.concat(parts)
  local listed = table.concat(parts, ", ", 1, 20)
  for word in text:gmatch("%a+") do total = total + #word end
  for name, value in ("a=1, b=22, long_name=333, d=4"):rep(n // 8):gmatch("(%w+)=(%d+)") do
    total = total + #name + value
  end
  for k = 1, #text do if text:byte(k) == 10 then total = total + 1 end end
  local at = 1
  while true do
    local from, to, digits = text:find("(%d+)%.", at)
    if not from then break end
    total = total + #digits
    at = to + 1
  end
  text = text:gsub("line", "row"):gsub("%d+", function(d) return #d end):gsub("[%s|]+", " ")
  listed = listed:gsub("%w+", { text = "TEXT" }):gsub("(%d) (%d)", "%2 %1")
  for _ = 1, 20 do
    total = total + #text:lower() + #listed:reverse() + #(" pad "):rep(10) + #("%s"):format(listed)
    total = total + #("  trimmed  "):match("^%s*(.-)%s*$") + #string.char(72, 105)
    total = total + #(text:match("^(%a+)") or "") + select("#", ("x,y,z"):byte(1, -1))
  end
  for k = 1, n do
    local packed = string.pack("<i4ds1", k, 0.5, "text")
    local first, second, third = string.unpack("<i4ds1", packed)
    total = total + first + second + #third + utf8.len("grün") + #utf8.char(252, k + 32)
    for _, code in utf8.codes("aäz") do total = total + code end
    local shown = tostring(k * 1e14) .. tostring(-0.0) .. tostring(k / 7) .. tostring(1e300) .. tostring(nil)
    total = total + #shown + #string.format("%5.1f %g %i %c %s %.3f %10d", k / 3, k / 8, k, 65, true, k, k)
    if "a" .. k < "b" .. k and "x" <= shown and not (shown > "y") then total = total + 1 end
  end
  local long = {}
  for k = 1, 40 do long[k] = ("%05d"):format(k) .. ("abc"):rep(k) end
  return total + #table.concat(long, ";") + (#long[40] > 40 and 1 or 0)
end

-- A file, if there may be one, by lines and numbers.
local function files(n)
  local file = io.tmpfile()
  if not file then return end
  for k = 1, n do file:write("line ", k, " ", k * 0.5, "\n") end
  file:seek("set")
  local total = 0
  for line in file:lines() do total = total + #line end
  file:seek("set")
  for _ = 1, n do
    local _, whole, half = file:read(5, "n", "n", "l")
    total = total + whole + half
  end
  file:seek("set")
  total = total + #file:read("a")
  file:close()
  return total
end

-- Patterns: every item they can have, anchored and not, with captures of all kinds.
local function patterns(n)
  local total = 0
  local line = "2024-05-17 [info] name = 'a (nested (pair)) value'; key_2=\"x\"; 0xFF\t-1.5e3, THE END.\r\n"
  local found = {
    "^%d+%-%d+", "%[(%a+)%]", "%b()", "%b''", "()=()", "(['\"])(.-)%1", "%f[%w]%w+%f[%W]", "^%s*$", "[^,;]+",
    "[%w_]+%s*=%s*", "%u+ %u+%p", "0[xX](%x+)", "[+-]?%d+%.?%d*[eE]?%d*", "%c", ".-;", ".*;", "x?y?z?%.", "[a-f0-9]+$",
    "%S+%s*$", "%l+%A", "[]-]", "[^%d%s]", "(%d)(%d)(%d)", "%.%W*$", "\0", "nothing", "%g+", "^(.)(.)", "[%-a-z]*",
  }
  local count = function(a, b) total = total + #a + (b and #b or 0) end
  for k = 1, n do
    for _, pattern in ipairs(found) do
      local from, to, first = line:find(pattern)
      if from then total = total + from + to + (type(first) == "string" and #first or 0) end
      local a, b = line:match(pattern, k % 20 - 10)
      if a and b then total = total + 1 end
    end
    for a, b in line:gmatch("([%w_]+)%s*=%s*(%S)") do count(a, b) end
    for item in ("one,two,,four"):gmatch("([^,]*)") do count(item) end
    for at in line:gmatch("()%p") do total = total + at end
    local text, made = line:gsub("%s+", " ", 3)
    text = text:gsub("^%d+", "year"):gsub("%%", "%%%%"):gsub("%p", "%%%0", 5):gsub("(%w)(%w)", "%2%1", 4)
    text = text:gsub("%w+", { the = "THE", [1] = false })
    text = text:gsub("[%a_]+", function(word) if #word > 3 then return word:upper() end end)
    text = text:gsub("()b()", "%1"):gsub("", "-", 2):gsub(".", { ["\r"] = "", ["\n"] = false }):gsub("%s$", "")
    total = total + #text + made + (line:find("=", 1, true) or 0) + (line:find("", 200) or 0)
    if line:find("(", 30, true) and not line:find("no such text", 1, true) and line:match("^2024") then
      total = total + 1
    end
    if pcall(string.find, line, "[a") or pcall(string.rep, "x", 1 << 40) then total = -1 end
  end
  return total
end

-- The rest of what strings can do.
local function more_strings(n)
  local total, text = 0, "The quick brown fox"
  for k = 1, n do
    total = total + #text:sub(-3) + #text:sub(-100, -5) + #text:sub(5, -5) + #text:sub(10, 3) + #text:sub(0)
    total = total + #text:sub(k)
    total = total + text:byte(-1) + select("#", text:byte(2, 5)) + string.len(text) + #text:rep(3, ", ")
    total = total + #text:rep(0)
    total = total + (tonumber("ff", 16) + tonumber("-777", 8) + tonumber("1010", 2)) + (tonumber("  12  ") or 0)
    if tonumber("x") or tonumber("9", 8) or tonumber("") or tonumber("1e") or tonumber(nil) then total = -1 end
    total = total + tonumber("1e5") + tonumber("-0x1p4") + tonumber(".5")
    total = total + tonumber("123456789012345678901234567890") + tonumber(7)
    local a, b = "prefix" .. k, "prefix" .. k + 1
    if a < b or a <= b or a > b and a:upper() >= b:lower() or "a\0b" < "a\0c" then total = total + 1 end
    if ("x"):rep(50) == ("x"):rep(25) .. ("x"):rep(25) then total = total + 1 end
    total = total + #("%s %s %s"):format(nil, true, -k) + #("%5s|%-5s|%.2s"):format("ab", k, "cde")
    total = total + #("%%"):format()
    total = total + #("%i %u %c%c %o %x %X %#x"):format(k, k, 65, 66, k, k, 255, k)
    total = total + #("%q"):format("a\nb\0c\"\\\r1")
    total = total + #("%q %q %q %q"):format(k, 0.1, true, 1 / 0)
    total = total + #("%05.1f %+d % d %e %G %a"):format(k, k, k, k, 1e20, 0.5)
    total = total + #("%.14g %.3g %10.4f %.0f %5.2f%%"):format(k / 7, 1e-10, -k, k + 0.5, 99.5)
    total = total + #("%s"):format(("long"):rep(40))
    total = total + #tostring(1 / 0) + #tostring(-1 / 0) + #tostring(0 / 0) + #tostring(1e15) + #tostring(-1e-7)
    total = total + #tostring(2 ^ 63)
    total = total + #tostring(math.mininteger) + #tostring(k * 1000.0) + #(k .. "") + #(-k .. ":" .. k / 4)
    total = total + #tostring(0.1 + 0.2)
    local fields = {}
    local at = 1
    while true do
      local stop = text:find(" ", at, true)
      fields[#fields + 1] = text:sub(at, (stop or 0) - 1)
      if not stop then break end
      at = stop + 1
    end
    total = total + #table.concat(fields) + #table.concat({}) + #table.concat(fields, "|", 2)
    total = total + #table.concat(fields, "", 3, 2)
    local letters = {}
    for at = 1, #text do letters[at] = text:sub(at, at) end
    for at, c in ipairs({ text:byte(1, -1) }) do letters[at] = string.char(c ~ 1, 32 + at) end
    total = total + #table.concat(letters)
    local binary = string.pack("<i1i2i4i8bBhHlLjJT", 1, -2, 3, -4, -1, 2, 3, 4, 5, 6, 7, 8, 9)
    binary = binary .. string.pack("<fdnxz", 1.5, 2.5, 3.5, "zero") .. string.pack(">fd=i4", k, k, k)
    binary = binary .. string.pack(">I2I3 s2 c8 !4 i4 Xi4", 258, 70000, "counted", "fixed", k)
    total = total + string.unpack("<i1i2i4i8bBhHlLjJT", binary)
    total = total + select("#", string.unpack(">I2I3", "\1\2\3\4\5"))
    total = total + select("#", string.unpack(">s2c8", "\0\1xfixed\0\0\0")) + string.packsize("<i4 i8 !8 d")
    total = total + #binary
    local word = "naïve – ∑ 𝄞"
    for at, code in utf8.codes(word) do total = total + at + code end
    for character in word:gmatch(utf8.charpattern) do total = total + #character end
    total = total + utf8.codepoint(word, 3) + utf8.offset(word, 5) + utf8.offset(word, -2)
    total = total + #utf8.char(0x20AC, 0x1F600, 65)
    total = total + utf8.len(word, 5) + (utf8.len("\xff") and 0 or 1) + select("#", utf8.codepoint(word, 1, -1))
  end
  return total
end

local function mathematics(n)
  local total = 0
  math.randomseed(7, 8)
  for k = 1, n do
    local x = k / 10
    total = total + math.tan(x) + math.asin(1 / k) + math.acos(1 / k) + math.atan(x) + math.atan(x, 2)
    total = total + math.exp(-x)
    total = total + math.log(k) + math.log(k, 2) + math.log(k, 10) + math.log(k, 3) + math.deg(x) + math.rad(k)
    total = total + math.fmod(x, 0.75) + math.fmod(-k, 7) + math.abs(-k) + math.abs(k) + math.floor(k)
    total = total + math.ceil(k) + x // 1
    total = total + math.floor(-x) + math.ceil(-x) + math.max(1, x, k) + math.min(k, x, 3, 2) + math.min(1)
    total = total + (k + 0.0) % 3
    local whole, part = math.modf(-x)
    total = total + whole + part + select("#", math.modf(k)) + (math.tointeger("8") or 0)
    total = total + (math.tointeger(x) or 1)
    total = total + math.random(0) % 2 + math.random(8) + math.random(100) + math.random(-5, 5)
    total = total + math.random(1, 256) + math.random()
    if math.ult(k, -1) and math.type(k) == "integer" and not math.type("1") and k < math.huge then total = total + 1 end
    if math.maxinteger // 1 > k and math.mininteger < 0.5 and k > -math.huge and math.maxinteger + 1.0 > k
      and k < math.maxinteger + 0.0 and 2 ^ 53 == 2 ^ 53 | 0 and math.maxinteger + 1 == math.mininteger
    then
      total = total + 1
    end
    total = total + math.floor(x * 100 + 0.5) / 100 + (x - x % 1) + (7 // 2 | 0) + 5.5 // 2 + -7 // 2 + -7 % 3
    total = total + 7 % -3 + 5.5 % -2
  end
  return total
end

-- Files by every format, and the default input and output.
local function more_files(n)
  local file = io.tmpfile()
  if not file then return end
  local total, before = 0, io.output()
  file:setvbuf("full", 1024)
  io.output(file)
  for k = 1, n do io.write(k, "\t", k / 4, " 0x1F -2.5e-3 word\n") end
  io.output(before)
  file:flush()
  total = total + file:seek("end") + file:seek("cur")
  file:seek("set", 0)
  for line in file:lines("L") do total = total + #line end
  file:seek("set")
  for whole, quarter, hex, float, rest in file:lines("n", "n", "n", "n", "l") do
    total = total + whole + quarter + hex + float + #rest
  end
  file:seek("set")
  local input = io.input()
  io.input(file)
  while true do
    local line = io.read("L")
    if not line then break end
    total = total + #line
  end
  io.input(input)
  file:seek("set")
  repeat
    local block = file:read(100)
    total = total + (block and #block or 0)
  until not block
  if file:read(0) or file:read("l") or #file:read("a") > 0 or io.type(file) ~= "file" then total = -1 end
  file:close()
  if io.type(file) ~= "closed file" or io.type(1) or io.open("/no/such/file") or tostring(file) == "" then
    total = -1
  end
  for k = 1, n // 20 do
    local now = os.time({ year = 2024, month = 1 + k % 12, day = 1 + k % 28, hour = 12 })
    local date = os.date("*t", now)
    total = total + date.year + #os.date("!%Y-%m-%d %H:%M:%S", now) + os.difftime(now, now)
    total = total + #(os.getenv("NONE") or "")
    if os.clock() < 0 or os.time() < 0 then total = -1 end
  end
  return total
end

-- What scripts print.
local function printed(n)
  for k = 1, n do print(k, k / 4, k % 2 == 0, nil, "text") end
  print()
end

return function()
  strings(600)
  patterns(60)
  more_strings(150)
  mathematics(600)
  files(400)
  more_files(300)
  printed(20)
end
