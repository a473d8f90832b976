-- A cache in front of something slow: least recently used entries leave as new ones enter, for ever.
-- The heap keeps its size while every block in it is replaced again and again, in no particular order.

local REQUESTS = assert(tonumber(arg[1] or 500000), "the argument is a number of requests")
local CAPACITY = 20000
local KEYS = 200000

-- A small generator of our own (Lehmer's), so that every interpreter sees the same requests.
local state = 42
local function random(limit)
  state = state * 16807 % 2147483647
  return state % limit + 1
end

local Cache = {}
Cache.__index = Cache

-- The list is a ring through `root`: root.next is the newest entry, root.previous the oldest.
function Cache.new(capacity)
  local root = {}
  root.next, root.previous = root, root
  return setmetatable({ capacity = capacity, size = 0, evicted = 0, root = root, entries = {} }, Cache)
end

local function unlink(entry)
  entry.previous.next, entry.next.previous = entry.next, entry.previous
end

local function link_behind(root, entry)
  entry.previous, entry.next = root, root.next
  root.next.previous = entry
  root.next = entry
end

function Cache:get(key)
  local entry = self.entries[key]
  if not entry then return nil end
  unlink(entry)
  link_behind(self.root, entry)
  return entry.value
end

function Cache:evict()
  local oldest = self.root.previous
  unlink(oldest)
  self.entries[oldest.key] = nil
  self.size, self.evicted = self.size - 1, self.evicted + 1
end

function Cache:put(key, value)
  if self.size == self.capacity then self:evict() end
  local entry = { key = key, value = value }
  self.entries[key] = entry
  link_behind(self.root, entry)
  self.size = self.size + 1
end

-- Half of all requests go to a tenth of the keys.
local function next_key()
  local number = random(2) == 1 and random(KEYS / 10) or random(KEYS)
  return string.format("user:%d", number)
end

local function load_value(key)
  return { name = key .. "/profile", visits = #key, body = ("."):rep(random(120)) }
end

local cache = Cache.new(CAPACITY)
local hits, bytes = 0, 0
for _ = 1, REQUESTS do
  local key = next_key()
  local value = cache:get(key)
  if value then
    hits = hits + 1
    value.visits = value.visits + 1
  else
    value = load_value(key)
    cache:put(key, value)
  end
  bytes = bytes + #value.body
end
print(string.format("requests %d, hits %d, evicted %d, kept %d, bytes served %d",
  REQUESTS, hits, cache.evicted, cache.size, bytes))
