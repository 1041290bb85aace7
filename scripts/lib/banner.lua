-- What a server says of its own accord, kept even where it is not said to the end.
--
--   local banner = require "banner"
--
-- banner.line(conn [, seconds]) -> line, fault, cut
--   One line, like conn:readline. A socket error is returned as `fault`, not raised; `line` is then what
--   had come of it, or nil.
-- banner.read(conn, report [, lines]) -> line
--   Reads one line of the greeting, prints it and records it as "banner": together with the lines before
--   it if there is a list of them, which it joins. What had come before a socket error is reported like a
--   line, and the error raised.
-- banner.strange(report, what, line [, first])
--   Warns "not-protocol" of a line that makes no sense here. If it is the first of all and the greeting of
--   another protocol, there is no need to: the scan says that by itself.
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
    report("banner", table.concat(lines, "\n"), not end_mark and line)
  end
  if cut then report.warn("oversize", "a line of more than 4096 bytes, of which the rest is left out") end
  if fault then error(fault, 0) end
  return line
end

function banner.strange(report, what, line, first)
  if not (first and scan.classify(line)) then report.warn("not-protocol", what .. ": " .. line) end
end

return banner
