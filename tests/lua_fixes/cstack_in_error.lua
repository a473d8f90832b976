-- An error whose handler cannot be called, as the C stack is full, in a function that ends exactly where the Lua
-- stack ends. Run by host.c, whose allocator notices that the Lua stack was overrun.

-- The stack of a new coroutine is less than half as large as this function's frame, so it grows to just that.
local variables = {}
for i = 1, 190 do
  variables[i] = "v" .. i
end
local fails = load("return function () local " .. table.concat(variables, ",") .. "; return v1 + 1 end")()

local results = {}
local function in_new_coroutine()
  local ok, message = coroutine.wrap(xpcall)(fails, function (m) return m end)
  results[message] = true
end

-- Calls 'f' with 'n' more calls on the C stack.
local function deeper(n, f)
  if n == 0 then
    return f()
  end
  string.gsub("x", "x", function () deeper(n - 1, f) end)
end

for n = 1, 200 do
  pcall(deeper, n, in_new_coroutine)
end
assert(results["error in error handling"] or results["C stack overflow"])
print("ok")
