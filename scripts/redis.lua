-- Redis, Valkey and other servers of their protocol (RESP), also over TLS: what they are, as far as they tell
-- everybody. The client speaks first, except where it is turned away at once.
local banner = require "banner"
local farewell = require "farewell"

local BYTES, LINES = 16 * 1024, 256

-- What is recorded of the answer to INFO, by its name there; the first that is there of several is right.
local FACTS = {
  version = { "valkey_version", "dragonfly_version", "redis_version" },
  mode = { "server_mode", "redis_mode" },
  os = { "os" },
}

local function write(conn, ...)
  local words = { ... }
  for i, word in ipairs(words) do words[i] = "$" .. #word .. "\r\n" .. word .. "\r\n" end
  conn:write("*", #words, "\r\n", table.concat(words)) -- check: ok, the client speaks first
end

-- An answer: its kind, which is its first byte, and what it says; nil if it is none of those that may come.
local function read_answer(conn, report)
  local line = conn:readline()
  local kind, rest = line:match("^([-+:$])(.*)$")
  local size = kind == "$" and tonumber(rest:match("^%d+$"))
  if not kind or (kind == "$" and not size) then
    return banner.strange(report, "not an answer of Redis", line, true)
  elseif not size then
    return kind, rest
  elseif size > BYTES then
    report.warn("oversize", "an answer of " .. rest .. " bytes")
  else
    return kind, conn:read(size + 2):sub(1, size)
  end
end

-- Is this an error with which a server turns everybody away?
local function is_refusal(text)
  return text:find("^DENIED ") or text:find("^ERR max number of clients")
end

-- Records an error; false if the connection is of no more use.
local function tell_error(report, text)
  if is_refusal(text) then
    report.warn("refused-service", text)
    return false
  elseif text:find("^NOAUTH") then
    report("authentication", true, text)
  else
    report("error", text)
  end
  return true
end

local function parse(info)
  local found, count = {}, 0
  for line in info:gmatch("[^\r\n]+") do
    local name, value = line:match("^([%w_]+):(.*)$")
    count = count + 1
    if name and count <= LINES then found[name] = found[name] or value end
  end
  return found
end

local function tell(report, info)
  local found, facts = parse(info), {}
  for key, names in pairs(FACTS) do
    for _, name in ipairs(names) do facts[key] = facts[key] or found[name] end
  end
  local product = found.valkey_version and "Valkey" or found.dragonfly_version and "Dragonfly" or "Redis"
  if not facts.version then return report.warn("not-protocol", "no version in the answer to INFO") end
  report("authentication", false, false)
  report("product", product, product .. " " .. facts.version .. (facts.mode and " (" .. facts.mode .. ")" or ""))
  for key, value in pairs(facts) do report(key, value, false) end
end

-- Asks one thing; its answer's kind and text, or nil if there is nothing more to be said.
local function ask(conn, report, ...)
  write(conn, ...)
  local kind, text = read_answer(conn, report)
  if kind == "-" and not tell_error(report, text) then return nil end
  return kind, text
end

local function converse(conn, report)
  local kind, text = ask(conn, report, "PING")
  if kind == "+" then kind, text = ask(conn, report, "INFO", "server") end
  if kind == "$" then tell(report, text) end
  return kind
end

return {
  about = "Redis and Valkey databases",
  services = {
    { name = "redis", port = 6379, optional = true },
    { name = "rediss", port = 6380, tls = true, optional = true },
  },
  greeting = { "^%-ERR max number of clients", "^%-DENIED ", "^%+PONG$", "^%-%u+ " }, -- POP3 knows -ERR, too
  fields = { "product", "version", "mode", "os", "authentication", "error" },
  probe = function(conn, report)
    if converse(conn, report) then farewell(conn, "QUIT", "^[-+]") end
  end,
}
