-- A division by zero is reported where it is, and leaves the function's variables alone.
local function line_of(chunk)
  local ok, message = pcall(load(chunk, "=chunk"))
  assert(not ok)
  return tonumber(message:match("^chunk:(%d+):"))
end

assert(line_of("local a, b = 0, 1\n\n\nlocal c = b % a") == 4)
assert(line_of("local a, b = 0, 1\n\n\nlocal c = b // a") == 4)
assert(line_of("local b = 1\n\n\nlocal c = b % 0") == 4)
assert(line_of("local b = 1\n\n\nlocal c = b // 0") == 4)

for _, operator in ipairs{"%", "//"} do
  local chunk = load("local zero = 0; type(0)\n local first, second = 11, 22\n return first " .. operator .. " zero")
  local values = {}
  xpcall(chunk, function ()
    for i = 1, 3 do
      local name, value = debug.getlocal(2, i)
      values[name] = value
    end
  end)
  assert(values.zero == 0 and values.first == 11 and values.second == 22)
end
print("ok")
