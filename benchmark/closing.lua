-- A program that ends with a large live heap: with "close" the state is closed as os.exit(true, true) does, with
-- "leave" the process just goes. The difference between the two is what closing costs.

local MEGABYTES = assert(tonumber(arg[1] or 200), "the argument is a number of megabytes")
local END = arg[2] or "close"
assert(END == "close" or END == "leave", 'the second argument is "close" or "leave"')

local records = {}
-- About 385 bytes each on malloc: a table with a hash part, an array and a string.
for index = 1, MEGABYTES * 2600 do
  records[index] = { id = index, name = "record " .. index, values = { index, index + 1 } }
end
print(#records)
os.exit(true, END == "close")
