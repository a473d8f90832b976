-- Cooperative tasks: hundreds of thousands of coroutines created, resumed a few times and finished.
-- A coroutine is a thread object and a stack; a server makes one per request, a parser one per iterator.

local TASKS = assert(tonumber(arg[1] or 800000), "the argument is a number of tasks")
local AT_ONCE = 500
local TREE_DEPTH = 6

local create, resume, status, yield = coroutine.create, coroutine.resume, coroutine.status, coroutine.yield

-- Waiting happens a few calls down, as it does below a parser or a library.
local function wait(depth, value)
  if depth == 0 then return yield(value) end
  return (wait(depth - 1, value))
end

local function serve(id, waits)
  local sum = 0
  for turn = 1, waits do
    sum = sum + wait(id % 8, id + turn)
  end
  return sum
end

-- Tasks run in turn; a finished one makes room for the next.
local function run_scheduler(tasks)
  local slots, created, finished, sum = {}, 0, 0, 0
  while finished < tasks do
    for slot = 1, AT_ONCE do
      local task = slots[slot]
      local ok, value
      if task then
        ok, value = resume(task, slot)
      elseif created < tasks then
        created = created + 1
        task = create(serve)
        slots[slot] = task
        ok, value = resume(task, created, created % 5)
      end
      if task then
        assert(ok, value)
        sum = sum + value
        if status(task) == "dead" then
          slots[slot] = nil
          finished = finished + 1
        end
      end
    end
  end
  return finished, sum
end

local function tree(depth, value)
  if depth == 0 then return { value = value } end
  return { value = value, left = tree(depth - 1, 2 * value), right = tree(depth - 1, 2 * value + 1) }
end

local function walk(node)
  if node then
    walk(node.left)
    yield(node.value)
    walk(node.right)
  end
end

-- One wrapped coroutine per traversal: iterators written the comfortable way.
local function run_iterators(count)
  local root, sum = tree(TREE_DEPTH, 1), 0
  for _ = 1, count do
    for value in coroutine.wrap(function() walk(root) end) do
      sum = sum + value
    end
  end
  return sum
end

local finished, sum = run_scheduler(TASKS)
print(string.format("tasks %d, checksum %d", finished, sum))
print(string.format("iterators %d, checksum %d", TASKS / 100, run_iterators(TASKS / 100)))
