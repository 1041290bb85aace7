-- LDAP (RFC 4511), also over TLS. The client speaks first: `ldap` and `ldaps` see whether the port is open, and ask
-- nothing. `rootdse` and `rootdses` ask what anybody may: what the server says of itself in its root entry (RFC 4512
-- section 5.1), and, where there is no TLS yet, for StartTLS.
local banner = require "banner"
local ber = require "ber"
local starttls = require "starttls"

local SEARCH, ENTRY, DONE, REFERENCE = 0x63, 0x64, 0x65, 0x73 -- tags of the operations
local EXTENDED, ANSWER, UNBIND = 0x77, 0x78, 0x42
local MESSAGE, SET = 0x30, 0x31
local STARTTLS = "1.3.6.1.4.1.1466.20037"
local MESSAGES, PATIENCE = 16, 2

-- The attributes that are asked for, in lower case, and what they are called in the record.
local ASKED = {
  { "namingContexts", "naming_contexts" },
  { "supportedLDAPVersion", "versions" },
  { "supportedExtension", "extensions" },
  { "supportedControl", "controls" },
  { "supportedSASLMechanisms", "mechanisms" },
  { "vendorName", "vendor" },
  { "vendorVersion", "vendor_version" },
}

-- Results that one meets, by their names in RFC 4511 section 4.1.9.
local RESULTS = {
  [0] = "success", [1] = "operationsError", [2] = "protocolError", [8] = "strongerAuthRequired",
  [13] = "confidentialityRequired", [32] = "noSuchObject", [48] = "inappropriateAuthentication",
  [50] = "insufficientAccessRights", [51] = "busy", [52] = "unavailable", [53] = "unwillingToPerform", [80] = "other",
}

-- What an answer comes to: its number, and that in words.
local function result_of(operation)
  local code, text = ber.number(operation[1] or {}), operation[3] and operation[3].value
  local words = (RESULTS[code] or "result") .. " " .. tostring(code)
  return code, text and text ~= "" and words .. ": " .. text or words
end

-- The operation in the next message, if that answers message `number`; nil if there is nothing more to be said.
local function read_message(conn, report, number)
  local message, why, bytes = ber.read(conn, MESSAGE)
  if not message then
    banner.instead(conn, report, "not an LDAP message (" .. why .. ")", bytes)
    return nil
  end
  local answered, operation = ber.number(message[1] or {}), message[2]
  if answered == 0 and operation and operation.tag == ANSWER then -- the notice of disconnection
    local _, words = result_of(operation)
    report.warn("refused-service", words)
  elseif answered ~= number or not operation then
    report.warn("not-protocol", "an answer to nothing that was asked")
  else
    return operation
  end
end

local function ask(conn, report, number, operation)
  conn:write(ber.sequence(ber.integer(number), operation)) -- check: ok, the client speaks first
  return read_message(conn, report, number)
end

-- --- the root entry ---

local function root_search()
  local names = {}
  for i, attribute in ipairs(ASKED) do names[i] = ber.octets(attribute[1]) end
  return ber.element(SEARCH, ber.octets(""), ber.enumerated(0), ber.enumerated(0), -- this entry itself, no aliases
    ber.integer(0), ber.integer(0), ber.boolean(false),
    ber.element(0x87, "objectClass"), ber.sequence(table.concat(names))) -- where there is one
end

-- The values of an entry's attributes, by name in lower case.
local function attributes_of(entry)
  local found = {}
  for _, attribute in ipairs(entry[2] or {}) do
    local name, set, values = attribute[1], attribute[2], {}
    for _, value in ipairs(set and set.tag == SET and set or {}) do values[#values + 1] = value.value end
    if name and name.value and #values > 0 then found[name.value:lower()] = values end
  end
  return found
end

local function tell(report, found)
  for _, attribute in ipairs(ASKED) do
    local name, key = attribute[1], attribute[2]
    local values = found[name:lower()]
    local shown = key == "naming_contexts" or key == "vendor"
    if values then
      local list = key:find("^vendor") and values[1] or values
      report(key, list, shown and name .. ": " .. table.concat(values, ", "))
    end
  end
end

-- Records what the server says of itself; its attributes, or nil if there is nothing more to be said.
local function read_root(conn, report)
  local found, operation = nil, ask(conn, report, 1, root_search())
  for _ = 1, MESSAGES do
    if not operation then return nil end
    if operation.tag == DONE then
      local code, words = result_of(operation)
      if code ~= 0 or not found then report("result", words, "no root entry: " .. words) end
      return found or {}
    elseif operation.tag == ENTRY then
      found = attributes_of(operation)
      tell(report, found)
    elseif operation.tag ~= REFERENCE then
      report.warn("not-protocol", "an answer of another kind")
      return nil
    end
    operation = read_message(conn, report, 1)
  end
  report.warn("oversize", "more than " .. MESSAGES .. " messages in an answer")
end

-- --- StartTLS ---

-- Whether the list of extensions has it; nil if there is no list.
local function advertised(found)
  if not found.supportedextension then return nil end
  for _, name in ipairs(found.supportedextension) do
    if name == STARTTLS then return true end
  end
  return false
end

-- Asks for TLS where there is a chance; false if there is nothing more to be said.
local function look_for_tls(conn, report, offered, try_hidden)
  if offered == false and not try_hidden then
    starttls.absent(report)
    return true
  end
  local request = ber.element(EXTENDED, ber.element(0x80, STARTTLS))
  local answer = starttls.ask(report, offered, ask, conn, report, 2, request)
  if not answer then return false end
  local code, words = result_of(answer)
  if code == 0 and answer.tag == ANSWER then return starttls.upgrade(conn, report, offered) end
  starttls.refused(report, words, offered)
  return true
end

-- Leaving politely is a message without an answer: the server closes.
local function unbind(conn)
  pcall(conn.write, conn, ber.sequence(ber.integer(3), ber.element(UNBIND)))
  pcall(conn.read, conn, 1, PATIENCE)
end

return {
  about = "LDAP directory",
  services = {
    { name = "ldap", port = 389 },
    { name = "ldaps", port = 636, tls = true },
    { name = "rootdse", port = 389, optional = true },
    { name = "rootdses", port = 636, tls = true, optional = true },
  },
  greeting = { "^0[\8-\127]\2\1[%z-\3]", "^0[\129-\132]..?.?.?\2\1[%z-\3]" },
  fields = { "naming_contexts", "versions", "extensions", "controls", "mechanisms", "vendor", "vendor_version",
    "result", "starttls.advertised", "starttls.accepted", "starttls.handshake", "starttls_reply",
    "starttls_error.phase", "starttls_error.code", "starttls_error.message" },
  args = { try_hidden = { default = false, about = "ask for StartTLS also where it is not advertised" } },
  probe = function(conn, report, args)
    if conn.service == "ldap" or conn.service == "ldaps" then return end
    local found = read_root(conn, report)
    if not found then return end
    if conn.tls or look_for_tls(conn, report, advertised(found), args.try_hidden) then unbind(conn) end
  end,
}
