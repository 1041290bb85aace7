-- HTTP/1.1 (RFC 9112): a request and the header of its answer.
--
--   local http = require "http"
--
-- http.ask(conn, method, path)
--   Sends a request that has no body.
-- http.head(conn, report) -> head, fault
--   Reads an answer up to the blank line; interim answers (1xx) are passed over, 8 at most. Gives
--   { line = the status line, status = number, reason = text, fields = { server = value, ... } }: names of
--   fields in lower case, the first of each name, empty ones left out. No `status`: the answer is not HTTP,
--   and `line` all that was read of it (or nil). A socket error is returned as `fault`, with what was known
--   by then. More than 128 lines, or too many interim answers, are a warning.
local banner = require "banner"

local LINES, INTERIM = 128, 8
local http = {}

local function host(conn)
  local name = conn.host:gsub("%%.*", "") -- the zone of an address is of no use to others
  if name:find(":", 1, true) then name = "[" .. name .. "]" end
  local usual = conn.tls and 443 or 80
  return conn.port == usual and name or name .. ":" .. conn.port
end

function http.ask(conn, method, path)
  conn:write(method, " ", path, " HTTP/1.1\r\nHost: ", host(conn),
    "\r\nUser-Agent: scan\r\nAccept: */*\r\nConnection: close\r\n\r\n")
end

local function read_fields(conn, report, fields)
  for _ = 1, LINES do
    local line, fault = banner.line(conn)
    if fault or line:find("^\r*$") then return fault end
    local name, value = line:match("^([^:%s]+):%s*(.*)$")
    name = name and name:lower()
    if name and not fields[name] then fields[name] = value:match("^.*%S") end
  end
  report.warn("oversize", "a header of more than " .. LINES .. " lines")
end

local function read_head(conn, report)
  local line, fault = banner.line(conn)
  local head = { line = line, fields = {} }
  if fault then return head, fault end
  local status, reason = line:match("^HTTP/[%d.]+ (%d%d%d)%f[^%d](.*)$")
  if not status then return head end
  head.status = tonumber(status)
  head.reason = reason:match("^ (.*)$") or reason
  return head, read_fields(conn, report, head.fields)
end

local function interim(head)
  return head.status and head.status < 200 and head.status ~= 101
end

function http.head(conn, report)
  local head, fault
  for _ = 0, INTERIM do
    head, fault = read_head(conn, report)
    if fault or not interim(head) then return head, fault end
  end
  report.warn("oversize", "more than " .. INTERIM .. " interim answers")
  return head
end

return http
