-- FTP (RFC 959) and AUTH TLS (RFC 4217): the greeting to its end, and whether TLS works.
local reply = require "reply"
local starttls = require "starttls"

local FREE = true -- lines inside a reply may be any text

-- Asks for TLS; false if there is nothing more to be said.
local function ask_for_tls(conn, report)
  local answer = reply.ask(conn, report, "AUTH TLS", FREE)
  if not answer then return false end
  if answer.code == "234" then return starttls.upgrade(conn, report) end
  starttls.refused(report, reply.text(answer))
  return answer.code ~= "421"
end

return {
  about = "FTP file transfer",
  services = { { name = "ftp", port = 21 } },
  -- What tells it from SMTP, which greets with the same codes.
  greeting = { "^[1-5]%d%d[ -].*FTP", "^[1-5]%d%d[ -].*FileZilla", "^[1-5]%d%d[ -]" },
  fields = { "banner", "starttls.accepted", "starttls.handshake", "starttls_reply",
    "starttls_error.phase", "starttls_error.code", "starttls_error.message" },
  probe = function(conn, report)
    local greeting = reply.greeting(conn, report, FREE)
    if not greeting or greeting.code == "421" then return end
    if greeting.code:sub(1, 1) ~= "2" or ask_for_tls(conn, report) then reply.quit(conn) end
  end,
}
