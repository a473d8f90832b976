-- The active lines of a stripped vararg function: none, instead of a crash.
local stripped = load(string.dump(load("print(10)"), true))
assert(next(debug.getinfo(stripped, "L").activelines) == nil)

-- Not stripped, they are what they were.
local lines = debug.getinfo(load("local a = ...\n\nreturn a"), "L").activelines
assert(lines[1] and not lines[2] and lines[3])
print("ok")
