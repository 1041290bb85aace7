-- Replies with a code, as in SMTP (RFC 5321 section 4.2) and FTP (RFC 959 section 4.2): "250-more", "250 so".
--
--   local reply = require "reply"
--
-- A reply is the list of its lines as they came, with the fields `code`, a text of three digits, and `bytes`. Where
-- there should be a reply and there is none, or one of more than 128 lines or 16 KiB, the report gets a warning and
-- the result is nil: there is nothing more to be said to that server. Socket errors are raised.
--
-- The optional `free` is true for FTP: between the first line and the last of a reply there may be any text.
-- In SMTP every line must have the code.
--
-- reply.greeting(conn, report [, free])
--   The greeting, reported as "banner" line by line. FTP's "120 in so many minutes" does not end it.
-- reply.read(conn, report [, free]) -> reply, lines
-- reply.ask(conn, report, command [, free]) -> reply, lines
--   The next reply; the reply to a command. `lines` is the reply, or what was good of one that came to no end.
-- reply.quit(conn)
--   QUIT and its reply.
local banner = require "banner"
local farewell = require "farewell"

local LINES, BYTES = 128, 16 * 1024
local reply = {}

-- The code of a line, and whether the line ends its reply; nil if there is none.
local function parse(line)
  local code, mark = line:match("^([1-5]%d%d)(.?)")
  if mark == "-" then return code, false end
  if mark == " " or mark == "" then return code, true end
end

local function next_line(conn, _, lines)
  local line = conn:readline()
  lines[#lines + 1] = line
  return line
end

-- Add the lines of one reply to `lines`; `read` adds one. Gives the reply, or nil and what is wrong.
local function collect(conn, report, free, read, lines)
  lines.code = nil
  while #lines < LINES and (lines.bytes or 0) < BYTES do
    local line = read(conn, report, lines)
    local code, ended = parse(line)
    lines.bytes = (lines.bytes or 0) + #line
    if not lines.code then
      if not code then return nil, "not a reply" end
      lines.code = code
    elseif code ~= lines.code then
      if not free then return nil, "not a line of a " .. lines.code .. " reply" end
      ended = false
    end
    if ended then return lines end
  end
  report.warn("oversize", "a reply of more than " .. (#lines < LINES and "16 KiB" or LINES .. " lines"))
end

function reply.greeting(conn, report, free)
  local lines = {}
  local answer, wrong
  repeat
    answer, wrong = collect(conn, report, free, banner.read, lines)
  until not answer or answer.code:sub(1, 1) ~= "1"
  banner.record(report, lines)
  if wrong then banner.strange(report, wrong, lines[#lines], #lines == 1) end
  if answer and answer.code:find("^[45]") then banner.refused(report, table.concat(lines, "\n")) end
  return answer
end

function reply.read(conn, report, free)
  local lines = {}
  local answer, wrong = collect(conn, report, free, next_line, lines)
  if wrong then banner.strange(report, wrong, table.remove(lines)) end
  return answer, lines
end

function reply.ask(conn, report, command, free)
  banner.early(conn, report)
  conn:write(command, "\r\n")
  return reply.read(conn, report, free)
end

function reply.quit(conn)
  farewell(conn, "QUIT", "^%d%d%d%f[^%d-]")
end

return reply
