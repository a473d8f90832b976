-- Writing reports and pages: lines built by concatenation, joined by table.concat, templates filled by gsub.
-- String sizes run from a word to the whole report, and every intermediate string is garbage at once.

local REPORTS = assert(tonumber(arg[1] or 1500), "the argument is a number of reports")
local LINES = 400

local TEMPLATE = "<tr class='$class'><td>$number</td><td>$name</td><td>$price</td></tr>"
local NAMES = { "anvil", "bucket", "candle", "drum", "engine", "flask", "gear", "hammer & tongs", "<ink>" }
local ENTITIES = { ["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;" }

local function escape(text)
  return (text:gsub("[&<>]", ENTITIES))
end

local function fill(template, values)
  return (template:gsub("%$(%w+)", values))
end

local function table_row(report, line)
  return fill(TEMPLATE, {
    class = line % 2 == 0 and "even" or "odd",
    number = string.format("%d", line),
    name = escape(NAMES[(report + line) % #NAMES + 1]),
    price = string.format("%.2f", (line * 37 + report) % 1000 / 7),
  })
end

local function joined(report)
  local rows = {}
  for line = 1, LINES do rows[line] = table_row(report, line) end
  return table.concat(rows, "\n")
end

-- The naive way, which programs use all the same: each step copies what is there already.
local function appended(report)
  local text = ""
  for line = 1, LINES do
    text = text .. NAMES[(report * line) % #NAMES + 1] .. ", "
  end
  return text
end

local function checksum(text)
  local sum = 0
  for index = 1, #text, 13 do sum = (sum * 31 + text:byte(index)) % 1000000007 end
  return sum
end

local bytes, sum = 0, 0
for report = 1, REPORTS do
  local page = joined(report)
  local list = appended(report):upper()
  local banner = ("="):rep(report % 80) .. list:sub(1, 40):reverse()
  bytes = bytes + #page + #list + #banner
  sum = (sum + checksum(page) + checksum(list) + checksum(banner)) % 1000000007
end
print(string.format("reports %d, bytes %d, checksum %d", REPORTS, bytes, sum))
