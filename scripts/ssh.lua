-- SSH (RFC 4253 section 4.2): the identification line. Lines may come before it.
local banner = require "banner"

local LINES, BYTES, LENGTH = 50, 16 * 1024, 255

local function identified(report, line, before)
  if #before > 0 then report("before", before, false) end
  report("banner", line:sub(1, LENGTH))
  if #line > LENGTH then report.warn("oversize", "an identification of more than " .. LENGTH .. " bytes") end
end

-- Reads into `before` up to the identification, which it returns; nil if what came is none.
local function read(conn, before)
  local bytes = 0
  while #before < LINES and bytes < BYTES do
    local line, fault = banner.line(conn)
    if line and line:find("^SSH%-") then return line, fault end
    before[#before + 1] = line
    bytes = bytes + #(line or "")
    if fault or scan.classify(line) then return nil, fault end
  end
end

-- Was it left at what is in `before`, which could have gone on for ever?
local function is_endless(before, fault)
  if fault then return fault.phase == "deadline" and #before > 0 end
  return not scan.classify(before[#before])
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
    if not line and is_endless(before, fault) then
      report.warn("not-protocol", #before .. " lines, and no SSH identification")
    end
    if fault then error(fault, 0) end
  end,
}
