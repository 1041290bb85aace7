-- IMAP (RFC 9051): the greeting, and whether STARTTLS works.
local banner = require "banner"
local farewell = require "farewell"
local imap = require "imap"
local starttls = require "starttls"

-- Asks for TLS where there is a chance; false if there is nothing more to be said.
local function look_for_tls(conn, report, state, offered, try_hidden)
  if state == "PREAUTH" then
    starttls.absent(report, "PREAUTH, which cannot be upgraded")
    return true
  elseif offered == false and not try_hidden then
    starttls.absent(report)
    return true
  end
  local answer = starttls.ask(report, offered, imap.ask, conn, report, "a1", "STARTTLS")
  if not answer then return false end
  if imap.is_ok(answer, "a1") then return starttls.upgrade(conn, report, offered) end
  starttls.refused(report, answer, offered)
  return answer:sub(1, 1) ~= "*"
end

return {
  about = "IMAP mailboxes",
  services = { { name = "imap", port = 143 }, { name = "imaps", port = 993, tls = true } },
  greeting = { "^%* [Oo][Kk]", "^%* PREAUTH", "^%* BYE" },
  args = { try_hidden = { default = false, about = "ask for STARTTLS also where it is not advertised" } },
  fields = { "banner", "capabilities", "starttls.advertised", "starttls.accepted", "starttls.handshake",
    "starttls_reply", "starttls_error.phase", "starttls_error.code", "starttls_error.message" },
  probe = function(conn, report, args)
    local greeting = banner.read(conn, report)
    local state = greeting:upper():match("^%* (%a+)")
    if state ~= "OK" and state ~= "PREAUTH" then -- BYE, or not IMAP at all
      if state == "BYE" then banner.refused(report, greeting) end
      return banner.strange(report, "not an IMAP greeting", greeting, not greeting:find("^%* [Oo][Kk]"))
    end
    local offered, words = imap.offers(greeting, "STARTTLS"), imap.capabilities(greeting)
    if words then report("capabilities", words, false) end
    if conn.tls or look_for_tls(conn, report, state, offered, args.try_hidden) then
      farewell(conn, "a2 LOGOUT", "^a2 ")
    end
  end,
}
