-- Replies with a code, as in SMTP (RFC 5321 section 4.2) and FTP (RFC 959 section 4.2): "250-more", "250 so".
--
--   local reply = require "reply"
--
-- A reply is the list of its lines as they came, with the field `code`, a text of three digits. Where there should
-- be a reply and there is none, or one of more than 128 lines or 16 KiB, the report gets a warning and the result
-- is nil: there is nothing more to be said to that server. Socket errors are raised.
--
-- The optional `free` is true for FTP: between the first line and the last of a reply there may be any text.
-- In SMTP every line must have the code.
--
-- reply.greeting(conn, report [, free])
--   The greeting, reported as "banner". FTP's "120 in so many minutes" does not end it.
-- reply.read(conn, report [, free]) -> reply, lines
-- reply.ask(conn, report, command [, free]) -> reply, lines
--   The next reply; the reply to a command. `lines` is the reply, or what was good of one that came to no end.
-- reply.text(reply)
--   All its lines as one text.
-- reply.quit(conn)
--   QUIT and its reply.
local banner = require "banner"
local farewell = require "farewell"

local LINES = 128
local OVERSIZE = "without end"
local reply = {}

-- What is wrong with a reply that does not end as it should. All its lines but the last have this code.
local function fault_of(lines, free, code)
  if not code then return "not a reply" end
  if free or lines[#lines]:match("^(...)%-") == code then return OVERSIZE end
  return "not a line of a " .. code .. " reply"
end

-- The code of a line that is the last of a reply.
local function ending(line)
  return line:match("^([1-5]%d%d) ") or line:match("^([1-5]%d%d)$")
end

-- Adds the lines of one reply to `lines`, a list or nil, which gets their `code`. Gives the list, what is wrong, and
-- whether a line was cut.
local function collect(conn, free, lines)
  local before = free and lines and #lines or 0
  local cut, code
  lines, cut, code = conn:readwhile(free and "^[1-5]%d%d%-" or "^([1-5]%d%d)%-", lines)
  if free then code = lines[before + 1]:match("^([1-5]%d%d)%-") end
  local ended = ending(lines[#lines])
  if free and code and ended ~= code and #lines < LINES then
    local another
    lines, another = conn:readuntil("^" .. code .. "%f[\0 ]", lines)
    cut, ended = cut or another, ending(lines[#lines])
  end
  code = code or ended
  lines.code = code
  return lines, (not code or ended ~= code) and fault_of(lines, free, code), cut
end

local function complain(report, wrong, lines, first)
  if wrong == OVERSIZE then
    report.warn("oversize", "a reply of more than " .. (#lines < LINES and "16 KiB" or LINES .. " lines"))
  else
    banner.strange(report, wrong, lines[#lines], first)
  end
end

local function collect_greeting(conn, free, lines)
  local wrong, cut
  repeat
    local another
    lines, wrong, another = collect(conn, free, lines)
    cut = cut or another
    local more = not wrong and lines.code < "200"
    if more and #lines >= LINES then wrong = OVERSIZE end
  until wrong or not more
  return wrong, cut
end

function reply.greeting(conn, report, free)
  local lines = {}
  local ok, wrong, cut = pcall(collect_greeting, conn, free, lines)
  if not ok and scan.is_error(wrong) then lines[#lines + 1] = wrong.partial end
  banner.record(report, lines)
  if not ok then error(wrong, 0) end
  if cut then banner.cut(report) end
  if wrong then return complain(report, wrong, lines, #lines == 1) end
  if lines.code >= "400" then banner.refused(report, reply.text(lines)) end
  return lines
end

function reply.read(conn, report, free)
  local lines, wrong = collect(conn, free)
  if not wrong then return lines, lines end
  complain(report, wrong, lines)
  if wrong ~= OVERSIZE then lines[#lines] = nil end
  return nil, lines
end

function reply.ask(conn, report, command, free)
  if conn.unread > 0 then banner.early(conn, report) end
  conn:write(command, "\r\n")
  return reply.read(conn, report, free)
end

function reply.text(lines)
  return lines[2] and table.concat(lines, "\n") or lines[1]
end

function reply.quit(conn)
  farewell(conn, "QUIT", "^%d%d%d%f[^%d-]")
end

return reply
