-- Function calls and nothing else: four classic recursive functions, deep and wide.
-- Apart from the growing stack there is no allocation, so both programs should take the same time.

local NUMBER = assert(tonumber(arg[1] or 34), "the argument is a Fibonacci index")

local function fibonacci(n)
  if n < 2 then return n end
  return fibonacci(n - 1) + fibonacci(n - 2)
end

local function ackermann(m, n)
  if m == 0 then return n + 1 end
  if n == 0 then return ackermann(m - 1, 1) end
  return ackermann(m - 1, ackermann(m, n - 1))
end

local function takeuchi(x, y, z)
  if y >= x then return z end
  return takeuchi(takeuchi(x - 1, y, z), takeuchi(y - 1, z, x), takeuchi(z - 1, x, y))
end

local function hanoi(discs, from, to, via)
  if discs == 0 then return 0 end
  return hanoi(discs - 1, from, via, to) + 1 + hanoi(discs - 1, via, to, from)
end

print(string.format("fibonacci(%d) = %d", NUMBER, fibonacci(NUMBER)))
print(string.format("ackermann(2, 500) = %d, ackermann(3, 7) = %d", ackermann(2, 500), ackermann(3, 7)))
print(string.format("takeuchi(20, 13, 6) = %d", takeuchi(20, 13, 6)))
print(string.format("hanoi(%d) = %d moves", NUMBER - 11, hanoi(NUMBER - 11, 1, 2, 3)))
