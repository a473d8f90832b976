-- Physics with a proper Vector class: every +, - and * makes a new object with a metatable.
-- Particles on springs around their anchors; almost everything allocated dies within the same step.

local STEPS = assert(tonumber(arg[1] or 600), "the argument is a number of steps")
local PARTICLES = 1000
local DT, STIFFNESS, DAMPING = 0.01, 4.0, 0.05

local Vector = {}
Vector.__index = Vector

local function vector(x, y, z)
  return setmetatable({ x = x, y = y, z = z }, Vector)
end

function Vector.__add(a, b) return vector(a.x + b.x, a.y + b.y, a.z + b.z) end
function Vector.__sub(a, b) return vector(a.x - b.x, a.y - b.y, a.z - b.z) end
function Vector.__mul(a, factor) return vector(a.x * factor, a.y * factor, a.z * factor) end
function Vector.__unm(a) return vector(-a.x, -a.y, -a.z) end
function Vector:dot(other) return self.x * other.x + self.y * other.y + self.z * other.z end

local function new_particle(index)
  return {
    anchor = vector(index % 10, index % 7, index % 3),
    position = vector(index % 11, index % 5, index % 4),
    velocity = vector(0, 0, 0),
  }
end

local function move(particle)
  local stretch = particle.position - particle.anchor
  local force = -(stretch * STIFFNESS) - particle.velocity * DAMPING
  particle.velocity = particle.velocity + force * DT
  particle.position = particle.position + particle.velocity * DT
end

local function energy(particles)
  local sum = 0
  for _, particle in ipairs(particles) do
    local stretch = particle.position - particle.anchor
    sum = sum + particle.velocity:dot(particle.velocity) / 2 + STIFFNESS * stretch:dot(stretch) / 2
  end
  return sum
end

local particles = {}
for index = 1, PARTICLES do particles[index] = new_particle(index) end
print(string.format("energy at the start %.6f", energy(particles)))
for _ = 1, STEPS do
  for index = 1, PARTICLES do move(particles[index]) end
end
print(string.format("energy after %d steps %.6f", STEPS, energy(particles)))
