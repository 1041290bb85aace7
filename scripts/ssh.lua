-- SSH (RFC 4253 section 4.2): the identification line. Lines may come before it.
local banner = require "banner"

local LINES, LENGTH = 50, 255

local function identified(report, line, before)
  if #before > 0 then report("before", before, false) end
  report("banner", line:sub(1, LENGTH))
  if #line > LENGTH then report.warn("oversize", "an identification of more than " .. LENGTH .. " bytes") end
end

-- Reads into `before` up to the identification, which it returns; nil if what came is none.
local function read(conn, before)
  while #before < LINES do
    local line, fault = banner.line(conn)
    if line and line:find("^SSH%-") then return line, fault end
    before[#before + 1] = line
    if fault or scan.classify(line) then return nil, fault end
  end
end

return {
  about = "SSH login",
  services = { { name = "ssh", port = 22 } },
  greeting = "^SSH%-%d",
  fields = { "banner", "before" },
  probe = function(conn, report)
    local before = {}
    local line, fault = read(conn, before)
    if line then
      identified(report, line, before)
    elseif #before > 0 then
      report("banner", before[1])
    end
    if #before == LINES then report.warn("not-protocol", LINES .. " lines, and no SSH identification") end
    if fault then error(fault, 0) end
  end,
}
