-- HTTP (RFC 9110), https, and IPP (RFC 8010), which is HTTP on a port of its own: the header of the answer
-- to HEAD /.
local banner = require "banner"
local http = require "http"

local function tell(report, head)
  local server = head.fields.server
  local shown = not server and head.line -- a server that does not name itself has said this at least
  if head.status >= 400 then shown = (head.status .. " " .. head.reason):match("^.*%S") end
  if server then report("server", server, "Server: " .. server) end
  report("reason", head.reason, false)
  report("status", head.status, shown or false)
end

return {
  about = "web servers, and printers that speak IPP",
  services = {
    { name = "http", port = 80 },
    { name = "https", port = 443, tls = true },
    { name = "ipp", port = 631 },
  },
  greeting = "^HTTP/%d",
  fields = { "server", "status", "reason", "banner" },
  probe = function(conn, report)
    http.ask(conn, "HEAD", "/")
    local head, fault = http.head(conn, report)
    if head.status then
      tell(report, head)
    elseif head.line then
      report("banner", head.line)
      if not fault then banner.strange(report, "not HTTP", head.line, not head.line:find("^HTTP/")) end
    end
    if fault then error(fault, 0) end
  end,
}
