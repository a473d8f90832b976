-- A game: entities made of components, moved with temporary vectors, born and dying all the time.
-- What players feel is the slowest frame, so it can report how long frames take, not only their sum.
-- Arguments: frames, and the word `times` to print the median, 99th percentile and worst frame time.

local FRAMES = assert(tonumber(arg[1] or 900), "the first argument is a number of frames")
local SHOW_TIMES = arg[2] == "times"
local EMITTERS, SIZE = 60, 100
local DT = 1 / 60

local clock, floor, sqrt = os.clock, math.floor, math.sqrt

-- A small generator of our own (Lehmer's), so that every interpreter plays the same game.
local state = 42
local function random()
  state = state * 16807 % 2147483647
  return state / 2147483647
end

local function vector(x, y) return { x = x, y = y } end
local function add(a, b) return vector(a.x + b.x, a.y + b.y) end
local function sub(a, b) return vector(a.x - b.x, a.y - b.y) end
local function scale(a, factor) return vector(a.x * factor, a.y * factor) end
local function length(a) return sqrt(a.x * a.x + a.y * a.y) end

local function new_world()
  return { entities = {}, emitters = {}, events = {}, born = 0, died = 0, hits = 0 }
end

local function spawn(world, components)
  world.born = world.born + 1
  components.id = world.born
  components.name = "entity" .. string.format("%d", world.born)
  world.entities[#world.entities + 1] = components
end

local function spawn_particle(world, emitter)
  spawn(world, {
    position = vector(emitter.x, emitter.y),
    velocity = vector(random() * 40 - 20, random() * 40 - 20),
    life = { age = 0, limit = 0.3 + random() * 2 },
    sprite = { frame = 0, layers = { "body", "glow" } },
    on_bounce = function(entity, axis)
      world.events[#world.events + 1] = { kind = "bounce", axis = axis, who = entity.id }
    end,
  })
end

-- Systems: each looks after one component of all entities, once per frame.

local function pull_to_centre(world)
  local centre = vector(SIZE / 2, SIZE / 2)
  for _, entity in ipairs(world.entities) do
    local offset = sub(centre, entity.position)
    local pull = scale(offset, 6 / (1 + length(offset)))
    entity.velocity = add(entity.velocity, scale(pull, DT))
  end
end

local function bounce(entity, axis)
  entity.velocity[axis] = -entity.velocity[axis]
  entity.on_bounce(entity, axis)
end

local function move(world)
  for _, entity in ipairs(world.entities) do
    entity.position = add(entity.position, scale(entity.velocity, DT))
    local x, y = entity.position.x, entity.position.y
    if x < 0 or x > SIZE then bounce(entity, "x") end
    if y < 0 or y > SIZE then bounce(entity, "y") end
  end
end

-- A grid built anew each frame, as broad-phase collision detection does.
local function collide(world)
  local cells = {}
  for _, entity in ipairs(world.entities) do
    local key = floor(entity.position.x / 4) * 1000 + floor(entity.position.y / 4)
    local cell = cells[key]
    if cell then
      cell[#cell + 1] = entity
      world.hits = world.hits + 1
    else
      cells[key] = { entity }
    end
  end
end

local function animate(world)
  for _, entity in ipairs(world.entities) do
    entity.sprite.frame = (entity.sprite.frame + 1) % 8
  end
end

local function bury(world)
  local alive = {}
  for _, entity in ipairs(world.entities) do
    entity.life.age = entity.life.age + DT
    if entity.life.age < entity.life.limit then
      alive[#alive + 1] = entity
    else
      world.died = world.died + 1
    end
  end
  world.entities = alive
end

local function run_frame(world, frame)
  for index, emitter in ipairs(world.emitters) do
    if (frame + index) % 4 == 0 then spawn_particle(world, emitter) end
  end
  -- Now and then something explodes: a burst of entities within one frame.
  if frame % 90 == 0 then
    for _ = 1, 200 do spawn_particle(world, world.emitters[1]) end
  end
  pull_to_centre(world)
  move(world)
  collide(world)
  animate(world)
  bury(world)
  local events = #world.events
  world.events = {}
  return events
end

local function frame_times_line(seconds)
  table.sort(seconds)
  local function at(share) return seconds[math.max(1, math.ceil(#seconds * share))] * 1000 end
  return string.format("frame_ms median=%.3f p99=%.3f worst=%.3f", at(0.5), at(0.99), at(1))
end

local world = new_world()
for index = 1, EMITTERS do
  world.emitters[index] = vector(index * 37 % SIZE, index * 61 % SIZE)
end

local seconds, bounces = {}, 0
for frame = 1, FRAMES do
  local start = clock()
  bounces = bounces + run_frame(world, frame)
  seconds[frame] = clock() - start
end

print(string.format("frames %d, born %d, died %d, alive %d, bounces %d, neighbours %d",
  FRAMES, world.born, world.died, #world.entities, bounces, world.hits))
if SHOW_TIMES then print(frame_times_line(seconds)) end
