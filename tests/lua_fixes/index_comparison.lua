-- A comparison as the index of a table that is an upvalue.
local names = {[true] = "yes", [false] = "no"}
local function look(a, b)
  names[a == b] = names[a == b] .. "!"
  return names[1 < 2], names[a < b], names[not (a < b)]
end
local always, less, not_less = look(1, 2)
assert(always == "yes" and less == "yes" and not_less == "no!")
print("ok")
