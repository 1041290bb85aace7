-- PostgreSQL: the client asks for TLS, then begins to log in. What is asked of it then is as far as this goes: no
-- password is ever sent.
local banner = require "banner"
local starttls = require "starttls"

local SSL_REQUEST, VERSION_3 = 80877103, 3 << 16
local MESSAGE_BYTES, MESSAGES, LINES = 16 * 1024, 64, 128

-- What a server may want to see, by the number in its message; 10 has a list of mechanisms.
local METHODS = {
  [0] = "none", [2] = "kerberos", [3] = "password", [5] = "md5", [7] = "gss", [9] = "sspi", [10] = "sasl",
}

-- The texts of a list, in which each has a NUL behind it.
local function texts(bytes)
  local list = {}
  for text in bytes:gmatch("[^\0]+") do
    if #list < LINES then list[#list + 1] = text end
  end
  return list
end

local function strange(conn, report, bytes)
  banner.instead(conn, report, "not an answer of PostgreSQL", bytes)
end

-- A message behind its first byte, its type: a length, which counts itself, and so many bytes. Nil if it is none.
local function read_body(conn, report, kind)
  local head = conn:read(4)
  local length = string.unpack(">I4", head)
  if length < 4 or length > MESSAGE_BYTES then return strange(conn, report, kind .. head) end
  return length > 4 and conn:read(length - 4) or ""
end

-- An error is a list of fields, each with a letter: severity, code and message among them.
local function refuse(report, body)
  local fields = {}
  for _, text in ipairs(texts(body)) do fields[text:sub(1, 1)] = text:sub(2) end
  report.warn("refused-service", (fields.S or "error") .. " " .. (fields.C or "?") .. ": " .. (fields.M or body))
end

-- --- TLS ---

-- Asks for it; false if there is nothing more to be said. The answer is a single byte, or an error.
local function ask_for_tls(conn, report)
  conn:write(string.pack(">I4I4", 8, SSL_REQUEST)) -- check: ok, the client speaks first
  local answer = conn:read(1)
  if answer == "S" then return starttls.upgrade(conn, report) end
  if answer == "N" then
    starttls.refused(report, answer)
    return true
  end
  local body = answer == "E" and read_body(conn, report, answer)
  if body then
    refuse(report, body)
  elseif answer ~= "E" then
    strange(conn, report, answer)
  end
  return false
end

-- --- logging in ---

local function tell_method(report, body)
  local number = #body >= 4 and string.unpack(">I4", body) or -1
  local method = METHODS[number] or "method " .. number
  local mechanisms = number == 10 and texts(body:sub(5)) or {}
  if #mechanisms > 0 then report("mechanisms", mechanisms, false) end
  local list = #mechanisms > 0 and " (" .. table.concat(mechanisms, ", ") .. ")" or ""
  report("authentication", method, "authentication: " .. method .. list)
  return number
end

local function take_parameter(parameters, body)
  local name, value = body:match("^([%w_.]+)\0([^\0]*)\0")
  if name and #parameters < LINES then parameters[#parameters + 1] = { name, value } end
end

-- A server that wants no password lets us in: it says what it is, and hears good-bye.
local function leave(conn, report, parameters)
  local found = {}
  for _, parameter in ipairs(parameters) do found[parameter[1]] = parameter[2] end
  report("parameters", found, found.server_version and "PostgreSQL " .. found.server_version)
  pcall(conn.write, conn, string.pack(">c1I4", "X", 4))
end

local function log_in(conn, report, user)
  local words = "user\0" .. user .. "\0database\0postgres\0application_name\0scan\0\0"
  local parameters = {}
  conn:write(string.pack(">I4I4", 8 + #words, VERSION_3), words)
  for _ = 1, MESSAGES do
    local kind = conn:read(1)
    if not kind:find("[A-Za-z]") then return strange(conn, report, kind) end
    local body = read_body(conn, report, kind)
    if not body then
      return
    elseif kind == "E" then
      return refuse(report, body)
    elseif kind == "R" then
      if tell_method(report, body) ~= 0 then return end
    elseif kind == "S" then
      take_parameter(parameters, body)
    elseif kind == "Z" then
      return leave(conn, report, parameters)
    end
  end
  report.warn("oversize", "more than " .. MESSAGES .. " messages after the login")
end

return {
  about = "PostgreSQL databases",
  services = { { name = "postgres", port = 5432, optional = true } },
  greeting = { "^[SN]$", "^E%z%z.." },
  fields = { "authentication", "mechanisms", "parameters", "starttls.accepted", "starttls.handshake", "starttls_reply",
    "starttls_error.phase", "starttls_error.code", "starttls_error.message" },
  args = { user = { default = "scan", about = "user who begins to log in" } },
  probe = function(conn, report, args)
    if ask_for_tls(conn, report) then log_in(conn, report, args.user) end
  end,
}
