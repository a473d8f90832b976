-- Searching one big text: string.byte, string.find and position captures, almost without making strings.
-- An allocator can only lose here; both programs should take the same time.

local PASSES = assert(tonumber(arg[1] or 6), "the argument is a number of passes")
local WORDS = 150000

local VOCABULARY = {
  "river", "stone", "over", "quick", "a", "of", "light", "mountain", "the", "zebra", "if", "harbour",
  "42", "1999", "blue", "north", "in", "window", "yellow", "key=value", "path/to/file", "needle",
}

-- A small generator of our own (Lehmer's), so that every interpreter reads the same text.
local state = 42
local function random(limit)
  state = state * 16807 % 2147483647
  return state % limit + 1
end

local function make_text()
  local words = {}
  for index = 1, WORDS do
    words[index] = VOCABULARY[random(#VOCABULARY)] .. (index % 12 == 0 and ".\n" or "")
  end
  return table.concat(words, " ")
end

local function count_vowels(text)
  local byte, count = string.byte, 0
  for index = 1, #text do
    local letter = byte(text, index)
    if letter == 97 or letter == 101 or letter == 105 or letter == 111 or letter == 117 then
      count = count + 1
    end
  end
  return count
end

local function count_matches(text, pattern, plain)
  local find, count, position = string.find, 0, 1
  while true do
    local first, last = find(text, pattern, position, plain)
    if not first then return count end
    count, position = count + 1, last + 1
  end
end

-- Position captures return numbers, so a whole line is measured without a copy of it.
local function longest_line(text)
  local longest = 0
  for first, last in text:gmatch("()[^\n]*()\n") do
    if last - first > longest then longest = last - first end
  end
  return longest
end

local SEARCHES = {
  { "needle", true },
  { "%d+", false },
  { "%f[%w]h%a+r%f[%W]", false },
  { "(%w+)=(%w+)", false },
  { "[^%s%w/=.]", false },
  { "%a+/%a+/%a+", false },
  { "no such word", true },
}

local text = make_text()
local vowels, matches, longest = 0, {}, 0
for _ = 1, PASSES do
  vowels = count_vowels(text)
  longest = longest_line(text)
  for index, search in ipairs(SEARCHES) do
    matches[index] = count_matches(text, search[1], search[2])
  end
end
print(string.format("bytes %d, vowels %d, longest line %d", #text, vowels, longest))
print("matches " .. table.concat(matches, " "))
