-- Small programs whole: what they do with all the rest, and with memory.

-- A document parsed by character and printed again.
local escapes = { n = "\n", t = "\t", ['"'] = '"', ["\\"] = "\\" }

local function parse(text, at)
  at = text:find("%S", at)
  local c = text:sub(at, at)
  if c == "{" then
    local object = {}
    at = text:find("%S", at + 1)
    while text:sub(at, at) ~= "}" do
      local key, value
      key, at = parse(text, at)
      at = text:find(":", at, true) + 1
      value, at = parse(text, at)
      object[key] = value
      at = text:find("%S", at)
      if text:sub(at, at) == "," then at = text:find("%S", at + 1) end
    end
    return object, at + 1
  elseif c == "[" then
    local array = {}
    at = text:find("%S", at + 1)
    while text:sub(at, at) ~= "]" do
      array[#array + 1], at = parse(text, at)
      at = text:find("%S", at)
      if text:sub(at, at) == "," then at = text:find("%S", at + 1) end
    end
    return array, at + 1
  elseif c == '"' then
    local stop = at + 1
    while true do
      local b = text:byte(stop)
      if b == 34 then break end
      stop = stop + (b == 92 and 2 or 1)
    end
    local value = text:sub(at + 1, stop - 1)
    if value:find("\\", 1, true) then value = value:gsub("\\(.)", escapes) end
    return value, stop + 1
  end
  local literal, stop = text:match("^(%a+)()", at)
  if literal == "true" then return true, stop elseif literal == "false" then return false, stop end
  literal, stop = text:match("^(-?[%d.eE+-]+)()", at)
  return assert(tonumber(literal)), stop
end

local function show(value)
  local kind = type(value)
  if kind == "table" then
    local parts = {}
    if #value > 0 then
      for k, v in ipairs(value) do parts[k] = show(v) end
      return "[" .. table.concat(parts, ",") .. "]"
    end
    for k, v in pairs(value) do parts[#parts + 1] = string.format("%q:%s", k, show(v)) end
    return "{" .. table.concat(parts, ",") .. "}"
  elseif kind == "string" then
    return '"' .. value:gsub('[\\"\n]', "\\%0") .. '"'
  end
  return tostring(value)
end

local function documents(n)
  local text = '{"name": "part", "sizes": [1, 2.5, -3e2], "nested": {"on": true, "off": false, "say": "a \\"b\\" c"}}'
  local total = 0
  for k = 1, n do
    local document = parse("[" .. text .. ", " .. text .. ", " .. k .. "]", 1)
    document[1].nested.say = "changed"
    total = total + #show(document) + document[3]
  end
  return total
end

-- Memory in all ages: what is dropped at once, what lives a while, what stays, what has finalizers or is weak.
local function ages(n)
  local cache, order, first = {}, {}, 1
  local weak = setmetatable({}, { __mode = "v" })
  local ephemeral = setmetatable({}, { __mode = "k" })
  local recent = setmetatable({}, { __mode = "v" })
  for k = 1, n do
    local key = "entry" .. k
    local entry = { key = key, payload = { k, k + 1, k + 2 }, hits = 0 }
    cache[key] = entry
    order[#order + 1] = key
    if k > 500 then
      cache[order[first]] = nil
      first = first + 1
    end
    local old = cache["entry" .. (k - 250)]
    if old then
      old.hits = old.hits + 1
      old.payload = { old.hits }
    end
    recent[k % 300 + 1] = k % 3 == 0 and entry or { key }
    if k % 50 == 0 then
      weak[k], ephemeral[entry] = entry, entry
      setmetatable(entry, { __gc = nothing })
      if not getmetatable(entry) then return 0 end
    end
  end
  return first
end

-- A search tree of records, filled, searched, walked and thrown away.
local function insert(node, key)
  if not node then return { key = key, left = nil, right = nil, times = 1 } end
  if key < node.key then
    node.left = insert(node.left, key)
  elseif key > node.key then
    node.right = insert(node.right, key)
  else
    node.times = node.times + 1
  end
  return node
end

local function depth(node)
  if not node then return 0 end
  local left, right = depth(node.left), depth(node.right)
  return 1 + (left > right and left or right)
end

local function search_trees(n)
  local root, state, total = nil, 7, 0
  for _ = 1, n do
    state = (state * 75 + 74) % 65537
    root = insert(root, state % 1000)
  end
  for key = 1, n do
    local node = root
    while node and node.key ~= key do
      if key < node.key then node = node.left else node = node.right end
    end
    if node then total = total + node.times end
  end
  return total + depth(root)
end

-- Expressions as nested arrays, built anew and worked out.
local function expression(level)
  if level == 0 then return { "number", level + 1 } end
  return { level % 2 == 0 and "sum" or "product", expression(level - 1), expression(level - 1), expression(level - 1) }
end

local apply = {
  number = function(e) return e[2] end,
  sum = function(e, value) return value(e[2]) + value(e[3]) + value(e[4]) end,
  product = function(e, value) return value(e[2]) * value(e[3]) * value(e[4]) end,
}
local function value(e) return apply[e[1]](e, value) end

local function sieve(n)
  local composite, primes = {}, {}
  for k = 2, n do
    if not composite[k] then
      primes[#primes + 1] = k
      for multiple = k * k, n, k do composite[multiple] = true end
    end
  end
  return #primes
end

local function queens(n)
  local columns, rising, falling, found = {}, {}, {}, 0
  local function place(row)
    if row > n then
      found = found + 1
      return
    end
    for column = 1, n do
      if not columns[column] and not rising[row + column] and not falling[row - column + n] then
        columns[column], rising[row + column], falling[row - column + n] = true, true, true
        place(row + 1)
        columns[column], rising[row + column], falling[row - column + n] = false, false, nil
      end
    end
  end
  place(1)
  return found
end

-- A board of cells, a new one for each step.
local function cells(size, steps)
  local board = {}
  for y = 1, size do
    board[y] = {}
    for x = 1, size do board[y][x] = (x * y + x) % 3 == 0 and 1 or 0 end
  end
  for _ = 1, steps do
    local after = {}
    for y = 1, size do
      local above, row, below = board[(y - 2) % size + 1], board[y], board[y % size + 1]
      local made = {}
      for x = 1, size do
        local left, right = (x - 2) % size + 1, x % size + 1
        local around = above[left] + above[x] + above[right] + row[left] + row[right]
          + below[left] + below[x] + below[right]
        made[x] = (around == 3 or around == 2 and row[x] == 1) and 1 or 0
      end
      after[y] = made
    end
    board = after
  end
  return board[1][1]
end

-- A small language taken apart into words, by position.
local function words(text)
  local list, at = {}, 1
  while at <= #text do
    local _, stop = text:find("^%s+", at)
    if stop then
      at = stop + 1
    else
      local kind, word
      word = text:match("^[%a_][%w_]*", at)
      if word then
        kind = "name"
      else
        word = text:match("^%d+%.?%d*", at)
        kind = word and "number" or "sign"
        word = word or text:sub(at, at)
      end
      list[#list + 1] = { kind = kind, word = word, at = at }
      at = at + #word
    end
  end
  return list
end

-- Things that live for some frames, and their temporary vectors.
local function frames(n)
  local things, total = {}, 0
  for frame = 1, n do
    if frame % 2 == 0 then
      things[#things + 1] = { position = { x = frame, y = 0 }, speed = { x = 1, y = 0.5 }, life = 20 + frame % 7 }
    end
    for k = #things, 1, -1 do
      local thing = things[k]
      local moved = { x = thing.position.x + thing.speed.x * 0.1, y = thing.position.y + thing.speed.y * 0.1 }
      thing.position = moved
      thing.life = thing.life - 1
      if thing.life <= 0 then
        things[k] = things[#things]
        things[#things] = nil
      end
      total = total + math.sqrt(moved.x * moved.x + moved.y * moved.y)
    end
  end
  return total
end

return function()
  documents(60)
  search_trees(4000)
  for _ = 1, 40 do value(expression(4)) end
  value(expression(7))
  sieve(5000)
  queens(6)
  cells(24, 8)
  for _ = 1, 30 do words("local total = first + 12.5 * (second - 3) -- a remark\nreturn total_of(first)") end
  frames(300)
  ages(6000)
end
