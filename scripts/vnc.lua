-- VNC (RFC 6143, the RFB protocol): versions, what a viewer must show to be let in, and VeNCrypt, which is TLS in
-- mid-conversation. No password is ever sent; what needs none is not entered.
--
-- Nobody logs in, and a server may turn away a host that does so again and again: TigerVNC for some seconds after the
-- fifth time. One reason to ask for this by name only.
local banner = require "banner"
local starttls = require "starttls"

local REASON_BYTES = 1024
local VENCRYPT = 19

local KINDS = {
  [1] = "None", [2] = "VncAuth", [5] = "RA2", [6] = "RA2ne", [16] = "Tight", [17] = "Ultra", [18] = "TLS",
  [19] = "VeNCrypt", [20] = "SASL", [21] = "MD5", [22] = "xvp", [30] = "DH", [113] = "MSLogonII", [129] = "RA256",
  [130] = "RAne256",
}
local WITH_CERTIFICATE = { [260] = "X509None", [261] = "X509Vnc", [262] = "X509Plain", [263] = "X509SASL" }
local WITHOUT = { [256] = "Plain", [257] = "TLSNone", [258] = "TLSVnc", [259] = "TLSPlain", [264] = "TLSSASL" }

local function name_of(kind)
  return KINDS[kind] or WITH_CERTIFICATE[kind] or WITHOUT[kind] or tostring(kind)
end

-- The version in which to go on: the highest of ours that is not above the server's.
local function version_of(line)
  local major, minor = line:match("^RFB (%d%d%d)%.(%d%d%d)$")
  major, minor = tonumber(major), tonumber(minor)
  if not major then return nil end
  if major > 3 or minor >= 8 then return 8 end
  return minor == 7 and 7 or 3
end

-- A server that will not go on says why: what comes of that counts, whatever its length should be.
local function refuse(conn, report)
  local length = string.unpack(">I4", conn:read(4))
  if length == 0 then return report.warn("refused-service", "no reason given") end
  local ok, reason = pcall(conn.read, conn, math.min(length, REASON_BYTES))
  if not ok then reason = scan.is_error(reason) and reason.partial end
  report.warn("refused-service", reason or "no reason given")
end

-- The kinds of security that it offers, in its order; an old one chooses itself. Nil if it refuses us.
local function read_kinds(conn, report, version)
  if version == 3 then
    local kind = string.unpack(">I4", conn:read(4))
    return kind > 0 and { kind } or refuse(conn, report)
  end
  local count = conn:read(1):byte()
  return count > 0 and { conn:read(count):byte(1, -1) } or refuse(conn, report)
end

local function tell(report, key, kinds, title)
  local names = {}
  for i, kind in ipairs(kinds) do names[i] = name_of(kind) end
  report(key, names, title .. table.concat(names, ", "))
end

local function has(list, wanted)
  for _, one in ipairs(list) do
    if one == wanted then return true end
  end
  return false
end

-- --- VeNCrypt: its version, then a list of what is within ---

local function read_subtypes(conn, report)
  local major, minor = conn:read(2):byte(1, 2)
  if major == 0 and minor < 2 then return nil, "VeNCrypt " .. major .. "." .. minor end
  conn:write("\0\2")
  if conn:read(1) ~= "\0" then return nil, "not VeNCrypt 0.2" end
  local count = conn:read(1):byte()
  if count == 0 then return nil, "VeNCrypt of no kind" end
  local subtypes, bytes = {}, conn:read(4 * count)
  for i = 1, count do subtypes[i] = string.unpack(">I4", bytes, 4 * i - 3) end
  tell(report, "subtypes", subtypes, "VeNCrypt: ")
  return subtypes
end

-- One with a certificate; the others' TLS has none, which proves nothing and which nobody here speaks.
local function choose(subtypes)
  for _, subtype in ipairs(subtypes) do
    if WITH_CERTIFICATE[subtype] then return subtype end
  end
end

local function look_for_tls(conn, report)
  starttls.offered(report)
  conn:write(string.char(VENCRYPT))
  local subtypes, why = read_subtypes(conn, report)
  if not subtypes then return starttls.refused(report, why, true) end
  local subtype = choose(subtypes)
  if not subtype then return starttls.refused(report, "VeNCrypt without certificates", true) end
  conn:write(string.pack(">I4", subtype))
  if conn:read(1) ~= "\1" then return starttls.refused(report, name_of(subtype) .. " after all", true) end
  starttls.upgrade(conn, report, true)
end

return {
  about = "VNC remote desktops",
  services = { { name = "vnc", port = 5900, optional = true } },
  greeting = "^RFB %d%d%d%.%d%d%d$",
  fields = { "banner", "security", "subtypes", "starttls.advertised", "starttls.accepted", "starttls.handshake",
    "starttls_reply", "starttls_error.phase", "starttls_error.code", "starttls_error.message" },
  probe = function(conn, report)
    local line = banner.read(conn, report)
    local version = version_of(line)
    if not version then return banner.strange(report, "not an RFB greeting", line, true) end
    conn:write(("RFB 003.%03d\n"):format(version))
    local kinds = read_kinds(conn, report, version)
    if not kinds then return end
    tell(report, "security", kinds, "security: ")
    if version > 3 and has(kinds, VENCRYPT) then look_for_tls(conn, report) else starttls.absent(report) end
  end,
}
