-- What a server says of its own accord, kept even where it is not said to the end.
--
--   local banner = require "banner"
--
-- banner.line(conn [, seconds]) -> line, fault, cut
--   One line, like conn:readline. A socket error is returned as `fault`, not raised; `line` is then what
--   had come of it, or nil.
-- banner.read(conn, report) -> line
--   Reads one line, prints it and records it as "banner". What had come before a socket error is reported like a
--   line, and the error raised.
-- banner.record(report, lines)
--   Prints a greeting of many lines and records it as "banner"; an empty list is none.
-- banner.cut(report)
--   Warns that a line was longer than what is kept of one.
-- banner.early(conn, report)
--   Called before a command: what the server has said without being asked would pass for the answer. It is left
--   out, with the warning "not-protocol".
-- banner.strange(report, what, line [, first])
--   Warns "not-protocol" of a line that makes no sense here. If it is the first of all and the greeting of
--   another protocol, there is no need to: the scan says that by itself.
-- banner.instead(conn, report, what, bytes)
--   The same for bytes, the first of all, that were read where no lines are. Of text the rest of the line is read
--   as well, as far as it comes within a second; other bytes are shown as hex, 16 at most.
-- banner.refused(report, words)
--   The server will not serve us now: its own words are the warning "refused-service", in the record only, for a
--   reader sees them anyway.
local banner = {}

local PATIENCE, ENOUGH, SHOWN = 1, 4, 16

function banner.line(conn, seconds)
  local ok, line, cut = pcall(conn.readline, conn, seconds)
  if ok then return line, nil, cut end
  local fault = line
  if not scan.is_error(fault) then error(fault, 0) end
  return fault.partial, fault
end

function banner.read(conn, report)
  local line, fault, cut = banner.line(conn)
  if line then report("banner", line) end
  if cut then banner.cut(report) end
  if fault then error(fault, 0) end
  return line
end

-- A last line of nothing but its code, "220" after "220-...", is not worth printing.
function banner.record(report, lines)
  if #lines <= 1 then return lines[1] and report("banner", lines[1]) end
  local text = table.concat(lines, "\n")
  report("banner", text, lines[#lines]:find("^%d%d%d ?$") and table.concat(lines, "\n", 1, #lines - 1) or text)
end

function banner.cut(report)
  report.warn("oversize", "a line of more than 4096 bytes, of which the rest is left out")
end

function banner.early(conn, report)
  if conn.unread == 0 then return end
  report.warn("not-protocol", "said before it was asked: " .. conn:readline())
  while conn.unread > 0 do conn:readline() end
end

function banner.strange(report, what, line, first)
  if not (first and scan.classify(line)) then report.warn("not-protocol", what .. ": " .. line) end
end

function banner.refused(report, words)
  report.warn("refused-service", words, false)
end

local function arrived(conn, count)
  local ok, bytes = pcall(conn.read, conn, count, PATIENCE)
  if ok then return bytes end
  return scan.is_error(bytes) and bytes.partial or nil
end

function banner.instead(conn, report, what, bytes)
  if not bytes:find("^[\t-\r -~]*$") then
    if #bytes < ENOUGH then bytes = bytes .. (arrived(conn, ENOUGH - #bytes) or "") end
    return scan.classify(bytes) or banner.strange(report, what, scan.hex(bytes:sub(1, SHOWN)))
  end
  local line, fault = bytes:match("^(.-)\r?\n"), nil
  if not line then
    line, fault = banner.line(conn, PATIENCE)
    line = bytes .. (line or "")
  end
  banner.strange(report, what, line, not fault)
end

return banner
