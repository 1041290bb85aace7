-- POP2 (RFC 937): the greeting.
local banner = require "banner"
local farewell = require "farewell"

return {
  about = "POP2 mailboxes",
  services = { { name = "pop2", port = 109 } },
  greeting = { "^%+ ", "^%- " },
  fields = { "banner" },
  probe = function(conn, report)
    local line = banner.read(conn, report)
    if line:sub(1, 1) == "+" then
      farewell(conn, "QUIT")
    else
      if line:find("^%- ") then banner.refused(report, line) end
      banner.strange(report, "not a POP2 greeting", line, true)
    end
  end,
}
