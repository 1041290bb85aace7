-- SMTP (RFC 5321), submission (RFC 6409) and STARTTLS (RFC 3207): the greeting, the extensions, and whether
-- TLS works.
local banner = require "banner"
local reply = require "reply"
local starttls = require "starttls"

-- The keyword, with nothing or its parameters behind it.
local STARTTLS = "^[Ss][Tt][Aa][Rr][Tt][Tt][Ll][Ss]%f[%s\0]"

-- Our own address as RFC 5321 section 4.1.3 writes it.
local function literal(conn)
  local address = conn.local_address
  if not address:find(":", 1, true) then return "[" .. address .. "]" end
  return "[IPv6:" .. address:gsub("%%.*", "") .. "]"
end

local function is_good(answer)
  return answer.code and answer.code >= "200" and answer.code < "300"
end

-- Records what the answer to EHLO lists; true if STARTTLS is there.
local function read_extensions(answer, report)
  local list, found = { table.unpack(answer, 2) }, answer[1]:find(STARTTLS, 5)
  for i = 1, #list do
    local line = list[i]:sub(5)
    list[i] = line
    found = found or line:find(STARTTLS)
  end
  if #list > 0 then report("extensions", list, false) end
  return found ~= nil
end

-- Asks for TLS; false if there is nothing more to be said.
local function ask_for_tls(conn, report, offered)
  local answer = starttls.ask(report, offered, reply.ask, conn, report, "STARTTLS")
  if not answer then return false end
  if answer.code == "220" then return starttls.upgrade(conn, report, offered) end
  starttls.refused(report, reply.text(answer), offered)
  return answer.code ~= "421"
end

-- The answer to EHLO; a second greeting is none.
local function ask_for_extensions(conn, report, name)
  local hello, lines = reply.ask(conn, report, "EHLO " .. name)
  if hello and hello.code == "220" then
    report.warn("not-protocol", "said before it was asked: " .. hello[1])
    hello, lines = reply.read(conn, report)
  end
  return hello, lines
end

-- The whole conversation behind a good greeting; true if a good-bye is due.
local function converse(conn, report, args)
  local name = args.ehlo or literal(conn)
  local hello, lines = ask_for_extensions(conn, report, name)
  local offered = is_good(lines) and read_extensions(lines, report) or false
  if hello and hello.code >= "500" then hello = reply.ask(conn, report, "HELO " .. name) end
  if not hello then return false end
  if hello.code == "421" then banner.refused(report, reply.text(hello)) end
  if conn.tls then return hello.code ~= "421" end
  if offered or args.try_hidden and is_good(hello) then return ask_for_tls(conn, report, offered) end
  starttls.absent(report, not is_good(hello) and reply.text(hello) or nil)
  return hello.code ~= "421"
end

return {
  about = "SMTP mail transfer and submission",
  services = {
    { name = "smtp", port = 25 },
    { name = "submission", port = 587 },
    { name = "smtps", port = 465, tls = true },
  },
  -- The first patterns tell it from FTP, which greets with the same codes. A host's name says nothing.
  greeting = { "^[245]%d%d[ -].*SMTP", "^[245]%d%d[ -]%S* .*[Mm]ail%f[^%w.-]", "^[245]%d%d[ -]" },
  fields = { "banner", "extensions", "starttls.advertised", "starttls.accepted", "starttls.handshake",
    "starttls_reply", "starttls_error.phase", "starttls_error.code", "starttls_error.message" },
  args = {
    ehlo = { about = "name sent in EHLO (default: our own address)" },
    try_hidden = { default = false, about = "ask for STARTTLS also where it is not advertised" },
  },
  probe = function(conn, report, args)
    local greeting = reply.greeting(conn, report)
    if not greeting or greeting.code == "421" then return end
    if not is_good(greeting) or converse(conn, report, args) then reply.quit(conn) end
  end,
}
