-- What a server says of its own accord, kept even where it is not said to the end.
--
--   local banner = require "banner"
--
-- banner.line(conn [, seconds]) -> line, fault, cut
--   One line, like conn:readline. A socket error is returned as `fault`, not raised; `line` is then what
--   had come of it, or nil.
-- banner.read(conn, report [, lines]) -> line
--   Reads one line of the greeting, prints it and records it as "banner". What had come before a socket error is
--   reported like a line, and the error raised. A greeting of many lines has a list of those before, which the
--   line joins; what is recorded is then the first, and all of them by banner.record, or with an error.
-- banner.record(report, lines)
--   Records the greeting as it is.
-- banner.early(conn, report)
--   Called before a command: what the server has said without being asked would pass for the answer. It is left
--   out, with the warning "not-protocol".
-- banner.strange(report, what, line [, first])
--   Warns "not-protocol" of a line that makes no sense here. If it is the first of all and the greeting of
--   another protocol, there is no need to: the scan says that by itself.
-- banner.refused(report, words)
--   The server will not serve us now: its own words are the warning "refused-service", in the record only, for a
--   reader sees them anyway.
local banner = {}

function banner.line(conn, seconds)
  local ok, line, cut = pcall(conn.readline, conn, seconds)
  if ok then return line, nil, cut end
  local fault = line
  if not scan.is_error(fault) then error(fault, 0) end
  return fault.partial, fault
end

function banner.read(conn, report, lines)
  local line, fault, cut = banner.line(conn)
  if line and not lines then
    report("banner", line)
  elseif line then
    lines[#lines + 1] = line
    local end_mark = #lines > 1 and line:find("^%d%d%d ?$") -- "220" after "220-...": nothing to show
    report("banner", lines[1], not end_mark and line)
  end
  if cut then report.warn("oversize", "a line of more than 4096 bytes, of which the rest is left out") end
  if fault then
    if lines then banner.record(report, lines) end
    error(fault, 0)
  end
  return line
end

function banner.record(report, lines)
  if #lines > 1 then report("banner", table.concat(lines, "\n"), false) end
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

return banner
