-- A port that no probe declares: its greeting, if it has one, and what that looks like.
local banner = require "banner"

-- Many a server waits to be spoken to, or leaves without a word: that is no error here.
local FINE = { timeout = true, ["too-slow"] = true, ["closed-early"] = true }

return {
  about = "any other port",
  services = { { name = "unknown", optional = true } },
  probe = function(conn, report)
    local line, fault = banner.line(conn)
    if line then
      report("banner", line)
      local kind = scan.classify(line)
      if kind then report("looks_like", kind, "looks like " .. kind) end
    end
    if fault and fault.code == "timeout" then report.warn("silent", fault.message, false) end
    if fault and not FINE[fault.code] then error(fault, 0) end
  end,
}
