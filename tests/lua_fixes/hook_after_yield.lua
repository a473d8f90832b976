-- A count hook yields at every instruction: each function is still called once.
local probe = require "probe"

local function inner(a) return a end
local function outer() return inner(1) + inner(2) end

local calls = probe.count_calls(coroutine.create(outer))
assert(calls == 3, "call hook ran " .. calls .. " times")
print("ok")
