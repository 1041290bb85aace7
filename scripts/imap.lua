-- IMAP (RFC 9051): the greeting, and whether STARTTLS works.
local banner = require "banner"
local farewell = require "farewell"
local starttls = require "starttls"

local LINES = 128
local LITERAL = 65536

-- One line, with those that follow the literals in it passed over together with them.
local function read_line(conn)
  local line = conn:readline()
  local part = line
  while true do
    local size = tonumber(part:match("{(%d+)%+?}$"))
    if not size then return line end
    if size > 0 then conn:read(math.min(size, LITERAL)) end
    part = conn:readline()
  end
end

-- The line that answers a command: the first that is not untagged, or the server's good-bye.
local function read_answer(conn, report)
  for _ = 1, LINES do
    local line = read_line(conn)
    if line:sub(1, 2) ~= "* " or line:upper():find("^%* BYE") then return line end
  end
  report.warn("oversize", "more than " .. LINES .. " lines before an answer")
end

local function ask(conn, report, command)
  conn:write(command, "\r\n")
  return read_answer(conn, report)
end

-- Whether the greeting lists STARTTLS; nil if it lists nothing.
local function advertised(greeting, report)
  local list = greeting:upper():match("%[CAPABILITY ([^%]]*)%]")
  if not list then return nil end
  local words, found = {}, false
  for word in list:gmatch("%S+") do
    if #words < LINES then words[#words + 1] = word end
    found = found or word == "STARTTLS"
  end
  report("capabilities", words, false)
  return found
end

-- Asks for TLS where there is a chance; false if there is nothing more to be said.
local function look_for_tls(conn, report, state, offered, try_hidden)
  if state == "PREAUTH" then
    starttls.absent(report, "PREAUTH, which cannot be upgraded")
    return true
  elseif offered == false and not try_hidden then
    starttls.absent(report)
    return true
  end
  local answer = starttls.ask(report, offered, ask, conn, report, "a1 STARTTLS")
  if not answer then return false end
  if answer:upper():find("^A1 OK%f[%W]") then return starttls.upgrade(conn, report, offered) end
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
    local offered = advertised(greeting, report)
    if conn.tls or look_for_tls(conn, report, state, offered, args.try_hidden) then farewell(conn, "a2 LOGOUT", "^a2 ") end
  end,
}
