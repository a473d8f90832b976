-- A constant as _ENV: an error about that constant, instead of a read from anywhere.
local function run(body)
  return pcall(assert(load(body)))
end

for _, constant in ipairs{"11", "200", "1.5", "true"} do
  for _, body in ipairs{"X = 'hi'", "return X", "X.y = 1"} do
    local ok, message = run("local _ENV <const> = " .. constant .. "; " .. body)
    assert(not ok and message:find("attempt to index a %w+ value"), message)
    assert(message:find(type(load("return " .. constant)()), 1, true), message)
  end
end

local ok, length = run("local _ENV <const> = 'text'; return len")
assert(ok and length == string.len)
print("ok")
