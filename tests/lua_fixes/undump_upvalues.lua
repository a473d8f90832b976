-- Binary chunks whose numbers of upvalues do not agree.
local function refused(chunk)
  local f, message = load(chunk, "=chunk", "b")
  assert(not f, "a corrupted chunk was loaded")
  assert(message:find("bad binary format", 1, true), message)
end

local good = string.dump(load("return x"))
assert(load(good, "=chunk", "b"))

-- The names of the upvalues come last: their number (a byte with its high bit set), then the one name.
local name = "\x85_ENV"
local names = good:find(name, 1, true)
assert(names == #good - #name + 1 and good:byte(names - 1) == 0x81)

-- The byte after the header is the number of upvalues of the main function.
local header = 4 + 1 + 1 + 6 + 3 + 8 + 8
assert(good:byte(header + 1) == 1)
refused(good:sub(1, header) .. "\0" .. good:sub(header + 2))
refused(good:sub(1, header) .. "\2" .. good:sub(header + 2))

refused(good:sub(1, names - 2) .. "\x82" .. name:rep(2))
refused(good:sub(1, names - 2) .. "\x03\x00\x80" .. name:rep(3 << 14))
print("ok")
