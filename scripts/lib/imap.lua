-- IMAP (RFC 9051): lines with their literals, and the answers to commands.
--
--   local imap = require "imap"
--
-- imap.line(conn) -> line
--   One line. What follows it as literals, "{17}" and so many bytes, is passed over together with the lines that go
--   on behind them, 64 KiB each at most.
-- imap.answer(conn, report) -> line
--   The line that answers a command: the first that is not untagged, or the server's good-bye. Nil, with the warning
--   "oversize", if none comes within 128 lines.
-- imap.ask(conn, report, tag, command) -> line
--   Sends a command and reads its answer.
-- imap.is_ok(line, tag) -> whether that is the answer, and a good one
-- imap.capabilities(line) -> list
--   What a greeting or an answer lists in [CAPABILITY ...], in upper case, 128 words at most; nil if it has no list.
-- imap.offers(line, word) -> whether the word, in upper case, is in that list; nil if there is none
local LINES, LITERAL = 128, 65536
local imap = {}

function imap.line(conn)
  local line = conn:readline()
  local part = line
  while true do
    local size = tonumber(part:match("{(%d+)%+?}$"))
    if not size then return line end
    if size > 0 then conn:read(math.min(size, LITERAL)) end
    part = conn:readline()
  end
end

function imap.answer(conn, report)
  for _ = 1, LINES do
    local line = imap.line(conn)
    if line:sub(1, 2) ~= "* " or line:upper():find("^%* BYE") then return line end
  end
  report.warn("oversize", "more than " .. LINES .. " lines before an answer")
end

function imap.ask(conn, report, tag, command)
  conn:write(tag, " ", command, "\r\n")
  return imap.answer(conn, report)
end

function imap.is_ok(line, tag)
  return line:upper():find("^" .. tag:upper() .. " OK%f[%W]") ~= nil
end

local function list_of(line)
  line = line:upper()
  local _, start = line:find("[CAPABILITY ", 1, true)
  local stop = start and line:find("]", start, true)
  return stop and line:sub(start + 1, stop - 1)
end

function imap.offers(line, word)
  local list = list_of(line)
  return list and (" " .. list .. " "):find(" " .. word .. " ", 1, true) ~= nil
end

function imap.capabilities(line)
  local list = list_of(line)
  if not list then return nil end
  local words = {}
  for word in list:gmatch("%S+") do
    if #words < LINES then words[#words + 1] = word end
  end
  return words
end

return imap
