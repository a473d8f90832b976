-- Operands of bitwise operators in a function with more constants than an instruction can name.
local numbers = {}
for i = 1, 257 do
  numbers[i] = i .. ".1"
end
local head = "local x = {" .. table.concat(numbers, ",") .. "}; return "

local function check(expression, expected)
  local value = load(head .. expression)()
  assert(value == expected, expression .. " gave " .. value)
end

check("1 | (2 or 3)", 3)
check("1 ~ (2 or 3)", 3)
check("1 & (3 or 2)", 1)
check("(2 or 3) | 1", 3)
check("5 << (2 or 3)", 20)
check("1 + (2 or 3)", 3)
print("ok")
