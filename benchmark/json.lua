-- A service that reads and writes JSON: documents parsed into tables, changed, and printed again.
-- Strings, nested tables and arrays appear by the thousand and are dropped with their document.

local DOCUMENTS = assert(tonumber(arg[1] or 120), "the argument is a number of documents")
local ITEMS = 150

-- Parser: each function takes the text and a position, and returns a value and the position behind it.

local ESCAPES = { b = "\b", f = "\f", n = "\n", r = "\r", t = "\t", ['"'] = '"', ["\\"] = "\\", ["/"] = "/" }
local LITERALS = { { "true", true }, { "false", false }, { "null", nil } }

local function fail(position, expected)
  error(string.format("JSON: %s expected at byte %d", expected, position), 0)
end

local function skip_space(text, position)
  return text:find("[^ \t\r\n]", position) or #text + 1
end

local function unescape(sequence)
  local code = sequence:match("^u00(%x%x)")
  return code and string.char(tonumber(code, 16)) or ESCAPES[sequence]
end

local function parse_string(text, position)
  local parts, start = {}, position + 1
  while true do
    local stop = text:find('["\\]', start) or fail(#text + 1, "closing quote")
    parts[#parts + 1] = text:sub(start, stop - 1)
    if text:sub(stop, stop) == '"' then
      return table.concat(parts), stop + 1
    end
    local sequence = text:match("^u00%x%x", stop + 1) or text:sub(stop + 1, stop + 1)
    parts[#parts + 1] = unescape(sequence) or fail(stop, "known escape")
    start = stop + 1 + #sequence
  end
end

local parse_value

local function parse_array(text, position)
  local array, count = {}, 0
  position = skip_space(text, position + 1)
  if text:sub(position, position) == "]" then return array, position + 1 end
  while true do
    count = count + 1
    array[count], position = parse_value(text, position)
    local mark = text:sub(position, position)
    if mark == "]" then return array, position + 1 end
    if mark ~= "," then fail(position, "',' or ']'") end
    position = position + 1
  end
end

local function parse_object(text, position)
  local object = {}
  position = skip_space(text, position + 1)
  if text:sub(position, position) == "}" then return object, position + 1 end
  while true do
    position = skip_space(text, position)
    if text:sub(position, position) ~= '"' then fail(position, "key") end
    local key
    key, position = parse_string(text, position)
    position = skip_space(text, position)
    if text:sub(position, position) ~= ":" then fail(position, "':'") end
    object[key], position = parse_value(text, position + 1)
    local mark = text:sub(position, position)
    if mark == "}" then return object, position + 1 end
    if mark ~= "," then fail(position, "',' or '}'") end
    position = position + 1
  end
end

local function parse_number_or_literal(text, position)
  local number = text:match("^-?%d+%.?%d*[eE]?[+-]?%d*", position)
  if number then return tonumber(number), position + #number end
  for _, literal in ipairs(LITERALS) do
    local word = literal[1]
    if text:sub(position, position + #word - 1) == word then return literal[2], position + #word end
  end
  fail(position, "value")
end

local PARSERS = { ['"'] = parse_string, ["["] = parse_array, ["{"] = parse_object }

-- Leaves the position on the first byte behind the value that is not white space.
function parse_value(text, position)
  position = skip_space(text, position)
  local parser = PARSERS[text:sub(position, position)] or parse_number_or_literal
  local value
  value, position = parser(text, position)
  return value, skip_space(text, position)
end

local function parse(text)
  local value, position = parse_value(text, 1)
  if position <= #text then fail(position, "end") end
  return value
end

-- Printer: keys in order, so that equal documents give equal texts.

local QUOTED = { ['"'] = '\\"', ["\\"] = "\\\\", ["\n"] = "\\n", ["\t"] = "\\t", ["\r"] = "\\r" }

local function quote(text)
  return '"' .. text:gsub('[%c"\\]', function(byte)
    return QUOTED[byte] or string.format("\\u%04x", byte:byte())
  end) .. '"'
end

local function sorted_keys(object)
  local keys = {}
  for key in pairs(object) do keys[#keys + 1] = key end
  table.sort(keys)
  return keys
end

local function print_value(value)
  local kind = type(value)
  if kind == "string" then return quote(value) end
  if kind == "number" then return string.format("%.14g", value) end
  if kind ~= "table" then return tostring(value) end
  local parts = {}
  if value[1] ~= nil then
    for index, item in ipairs(value) do parts[index] = print_value(item) end
    return "[" .. table.concat(parts, ",") .. "]"
  end
  for index, key in ipairs(sorted_keys(value)) do
    parts[index] = quote(key) .. ":" .. print_value(value[key])
  end
  return "{" .. table.concat(parts, ",") .. "}"
end

local function new_item(document, index)
  return {
    id = document * 1000 + index,
    name = string.format("item %d of \"%d\"", index, document),
    price = (index * 31 % 97) / 8,
    active = index % 3 == 0,
    tags = { "tag" .. string.format("%d", index % 17), "line\nbreak", "tab\tstop", "back\\slash" },
    size = { width = index % 40, height = document % 30, unit = "mm" },
    history = { 1, index, index * index, { note = "checked", by = "clerk\1" } },
  }
end

local function new_document(document)
  local items = {}
  for index = 1, ITEMS do items[index] = new_item(document, index) end
  return { title = string.format("document %d", document), items = items }
end

local function reprice(document)
  local total = 0
  for _, item in ipairs(document.items) do
    item.price = item.price * 2
    item.tags[#item.tags + 1] = "repriced"
    total = total + item.price
  end
  document.total = total
  return total
end

local bytes, total, faithful = 0, 0, 0
for number = 1, DOCUMENTS do
  local text = print_value(new_document(number))
  local document = parse(text)
  if print_value(document) == text then faithful = faithful + 1 end
  total = total + reprice(document)
  local changed = print_value(document)
  bytes = bytes + #text + #changed
  assert(parse(changed).total == document.total)
end
print(string.format("documents %d, faithful %d, bytes %d, total %.3f", DOCUMENTS, faithful, bytes, total))
