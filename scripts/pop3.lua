-- POP3 (RFC 1939) and its STLS command (RFC 2595): the greeting, and whether TLS works.
local banner = require "banner"
local farewell = require "farewell"
local starttls = require "starttls"

local function is_yes(line)
  return line:sub(1, 1) == "+"
end

-- Asks for TLS; false if the connection is of no more use.
local function ask_for_tls(conn, report)
  banner.early(conn, report)
  conn:write("STLS\r\n")
  local answer = conn:readline()
  if is_yes(answer) then return starttls.upgrade(conn, report) end
  starttls.refused(report, answer)
  return true
end

return {
  about = "POP3 mailboxes",
  services = { { name = "pop3", port = 110 }, { name = "pop3s", port = 995, tls = true } },
  greeting = { "^%+OK", "^%-ERR" },
  fields = { "banner", "starttls.accepted", "starttls.handshake", "starttls_reply",
    "starttls_error.phase", "starttls_error.code", "starttls_error.message" },
  probe = function(conn, report)
    local line = banner.read(conn, report)
    if is_yes(line) then
      if conn.tls or ask_for_tls(conn, report) then farewell(conn, "QUIT") end
    else
      if line:find("^%-ERR") then banner.refused(report, line) end
      banner.strange(report, "not a POP3 greeting", line, true)
    end
  end,
}
