-- MySQL and MariaDB: the packet with which the server greets, and TLS by a request for it in mid-conversation.
--
-- Nobody logs in, so the server's log may have an aborted connection. A server that counts those (max_connect_errors)
-- may in the end turn away a host that calls it more than a hundred times: one reason to ask for this by name only.
local banner = require "banner"
local starttls = require "starttls"

local GREETING_BYTES = 4096
local SSL, PROTOCOL_41, SECURE = 0x800, 0x200, 0x8000
local UTF8, PACKET_BYTES = 33, 0xffffff

-- The bits of what the server can do, from the lowest.
local CAPABILITIES = {
  "LONG_PASSWORD", "FOUND_ROWS", "LONG_FLAG", "CONNECT_WITH_DB", "NO_SCHEMA", "COMPRESS", "ODBC", "LOCAL_FILES",
  "IGNORE_SPACE", "PROTOCOL_41", "INTERACTIVE", "SSL", "IGNORE_SIGPIPE", "TRANSACTIONS", "RESERVED",
  "SECURE_CONNECTION", "MULTI_STATEMENTS", "MULTI_RESULTS", "PS_MULTI_RESULTS", "PLUGIN_AUTH", "CONNECT_ATTRS",
  "PLUGIN_AUTH_LENENC", "EXPIRED_PASSWORDS", "SESSION_TRACK", "DEPRECATE_EOF",
}

-- The greeting's packet: three bytes of length, the number 0, and so many bytes. No line of text looks like that.
local function read_packet(conn, report)
  local head = conn:read(4)
  local length, number = string.unpack("<I3B", head)
  if number == 0 and length > 0 and length <= GREETING_BYTES then return conn:read(length) end
  banner.instead(conn, report, "not a MySQL greeting", head)
end

-- A server that will not have us says so in place of a greeting: a number, maybe a state, and a text.
local function refuse(report, packet)
  local code = #packet >= 3 and string.unpack("<I2", packet, 2) or 0
  local text = packet:sub(4):gsub("^#%w%w%w%w%w", "")
  report.warn("refused-service", code .. " " .. text)
end

-- What stands behind the version; nil if it is cut off. The upper half of the capabilities came with MySQL 4.1.
local function parse(packet, place)
  if #packet < place + 14 then return nil end
  local id, capabilities = string.unpack("<I4", packet, place), string.unpack("<I2", packet, place + 13)
  if #packet < place + 20 then return { id = id, capabilities = capabilities } end
  local upper, salt = string.unpack("<I2B", packet, place + 18)
  return {
    id = id,
    capabilities = capabilities | upper << 16,
    plugin = packet:match("^([%w_.]+)\0?$", place + 31 + math.max(13, salt - 8)),
  }
end

local function names_of(capabilities)
  local names = {}
  for bit, name in ipairs(CAPABILITIES) do
    if capabilities >> (bit - 1) & 1 == 1 then names[#names + 1] = name end
  end
  return names
end

-- MariaDB's version has one before it with which old clients are content.
local function tell_version(report, version)
  version = version:gsub("^5%.5%.5%-(%d.*MariaDB)", "%1")
  report("version", version, (version:find("MariaDB") and "MariaDB " or "MySQL ") .. version:gsub("%-MariaDB", ""))
end

local function tell(report, facts)
  local names = names_of(facts.capabilities)
  report("connection_id", facts.id, false)
  if #names > 0 then report("capabilities", names, false) end
  if facts.plugin then report("authentication", facts.plugin, false) end
end

-- The request is the beginning of a login, up to the user's name. There is no answer: who offers TLS takes it.
local function look_for_tls(conn, report, capabilities)
  if capabilities & SSL == 0 then return starttls.absent(report) end
  starttls.offered(report)
  local request = string.pack("<I4I4B", SSL | PROTOCOL_41 | SECURE, PACKET_BYTES, UTF8) .. ("\0"):rep(23)
  conn:write(string.pack("<I3B", #request, 1), request)
  starttls.upgrade(conn, report, true)
end

return {
  about = "MySQL and MariaDB databases",
  services = { { name = "mysql", port = 3306, optional = true } },
  -- A line ends at the protocol's version, 10; an error begins with 255.
  greeting = { "^[^%z][%z\1]%z%z$", "^[^%z][%z\1]%z%z\255" },
  fields = { "version", "connection_id", "capabilities", "authentication",
    "starttls.advertised", "starttls.accepted", "starttls.handshake",
    "starttls_error.phase", "starttls_error.code", "starttls_error.message" },
  probe = function(conn, report)
    local packet = read_packet(conn, report)
    if not packet then return end
    local protocol = packet:byte()
    local version, place = packet:match("^.([^\0]+)\0()")
    if protocol == 255 then
      refuse(report, packet)
    elseif version and (protocol == 10 or protocol == 9) then
      tell_version(report, version)
      local facts = protocol == 10 and parse(packet, place)
      if facts then
        tell(report, facts)
        look_for_tls(conn, report, facts.capabilities)
      end
    else
      banner.instead(conn, report, "not a MySQL greeting", packet)
    end
  end,
}
