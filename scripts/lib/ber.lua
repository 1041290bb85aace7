-- BER (X.690), as much of it as LDAP and Kerberos speak: tags of one byte, lengths that are given.
--
--   local ber = require "ber"
--
-- An element that was read is { tag = number, value = bytes }; a constructed one, a sequence for instance, has its
-- parts instead: { tag = 0x30, part, part, ... }. Nothing is taken on trust: of an element there are at most 32 KiB,
-- 1,024 parts and 8 levels, and its parts fill it exactly. What is not so is nil, and a second result says why.
--
-- ber.element(tag, content, ...) -> bytes
--   An element of these contents, one after the other.
-- ber.integer(number), ber.enumerated(number), ber.boolean(value), ber.octets(text), ber.sequence(content, ...)
--   Elements of the usual kinds.
-- ber.read(conn, tag) -> element | nil, why, bytes
--   Reads one element with this tag from the connection; `bytes` is what was read of something else. Socket errors
--   are raised.
-- ber.decode(bytes) -> element | nil, why
--   The one element that the bytes are.
-- ber.number(element) -> number | nil
--   What an integer or an enumerated is; nil if it has no byte, or more than eight.
local ber = {}

local BYTES, PARTS, LEVELS = 32 * 1024, 1024, 8
local CONSTRUCTED, LONG_TAG = 0x20, 0x1f

-- --- writing ---

local function length_of(size)
  if size < 0x80 then return string.char(size) end
  return size < 0x100 and string.pack("BB", 0x81, size) or string.pack(">BI2", 0x82, size)
end

function ber.element(tag, ...)
  local content = table.concat({ ... })
  if #content > BYTES then error("an element of more than 32 KiB", 2) end
  return string.char(tag) .. length_of(#content) .. content
end

-- As few bytes as hold it.
local function two_complement(number)
  local size = 1
  while size < 8 and (number < -(1 << 8 * size - 1) or number >= 1 << 8 * size - 1) do size = size + 1 end
  return string.pack(">i" .. size, number)
end

function ber.integer(number) return ber.element(0x02, two_complement(number)) end

function ber.enumerated(number) return ber.element(0x0a, two_complement(number)) end

function ber.boolean(value) return ber.element(0x01, value and "\xff" or "\0") end

function ber.octets(text) return ber.element(0x04, text) end

function ber.sequence(...) return ber.element(0x30, ...) end

-- --- reading ---

-- The length that begins with this byte; `more(n)` gives the n bytes behind it.
local function read_length(first, more)
  local size = first - 0x80
  if size < 0 then return first end
  if size == 0 then return nil, "an element without a length" end
  if size > 4 then return nil, "a length of " .. size .. " bytes" end
  local bytes = more(size)
  if not bytes then return nil, "a length that is cut off" end
  local length = string.unpack(">I" .. size, bytes)
  if length > BYTES then return nil, "an element of " .. length .. " bytes" end
  return length
end

local decode -- (state, place, limit, level) -> element, place behind it | nil, why

local function decode_parts(state, element, place, limit, level)
  while place < limit do
    local part, after = decode(state, place, limit, level + 1)
    if not part then return nil, after end
    element[#element + 1] = part
    place = after
  end
  return element
end

function decode(state, place, limit, level)
  if level > LEVELS then return nil, "more than " .. LEVELS .. " levels" end
  state.count = state.count + 1
  if state.count > PARTS then return nil, "more than " .. PARTS .. " parts" end
  if limit - place < 2 then return nil, "an element that is cut off" end
  local tag, first = state.bytes:byte(place, place + 1)
  if tag & LONG_TAG == LONG_TAG then return nil, "a tag of many bytes" end
  place = place + 2
  local length, why = read_length(first, function(size)
    if limit - place < size then return nil end
    place = place + size
    return state.bytes:sub(place - size, place - 1)
  end)
  if not length then return nil, why end
  local after = place + length
  if after > limit then return nil, "an element longer than what holds it" end
  local element = { tag = tag }
  if tag & CONSTRUCTED == 0 then
    element.value = state.bytes:sub(place, after - 1)
  else
    element, why = decode_parts(state, element, place, after, level)
  end
  return element, element and after or why
end

function ber.decode(bytes)
  local element, after = decode({ bytes = bytes, count = 0 }, 1, #bytes + 1, 1)
  if not element then return nil, after end
  if after <= #bytes then return nil, "bytes behind the element" end
  return element
end

function ber.read(conn, tag)
  local head = conn:read(2)
  if head:byte() ~= tag then return nil, "another tag", head end
  local function more(size)
    local bytes = conn:read(size)
    head = head .. bytes
    return bytes
  end
  local length, why = read_length(head:byte(2), more)
  if not length then return nil, why, head end
  local content = length > 0 and conn:read(length) or ""
  local element
  element, why = ber.decode(head .. content)
  return element, why, not element and head .. content or nil
end

function ber.number(element)
  local value = element.value
  return value and #value >= 1 and #value <= 8 and (string.unpack(">i" .. #value, value)) or nil
end

return ber
