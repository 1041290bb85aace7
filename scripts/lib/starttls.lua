-- The outcome of asking for TLS on a live connection, in the same words for all protocols.
--
--   local starttls = require "starttls"
--
-- Recorded is "starttls": { advertised, accepted, handshake }; where a protocol does not say beforehand what
-- it has, `advertised` is nil here and absent there. `words` are the server's own.
--
-- starttls.offered(report)
--   It is advertised: said before asking, in case that no answer comes.
-- starttls.ask(report, advertised, ask, ...) -> what ask(...) gives
--   `ask` asks for TLS. If it raises, or gives no answer, that it is advertised is recorded all the same.
-- starttls.absent(report [, words])
--   It is not advertised.
-- starttls.refused(report, words [, advertised])
--   It was asked for, and refused; the words are recorded as "starttls_reply" too.
-- starttls.upgrade(conn, report [, advertised]) -> whether it works
--   It was accepted: makes the handshake; `advertised` is false where it was asked for all the same. Where that fails,
--   the error is recorded as "starttls_error" and the connection is of no more use.
local starttls = {}

local function record(report, advertised, accepted, handshake, text)
  report("starttls", { advertised = advertised, accepted = accepted, handshake = handshake }, text)
end

function starttls.offered(report)
  record(report, true, false, false, false)
end

local function answered(report, advertised, ok, answer)
  if not (ok and answer) and advertised then starttls.offered(report) end
  if not ok then error(answer, 0) end
  return answer
end

function starttls.ask(report, advertised, ask, ...)
  return answered(report, advertised, pcall(ask, ...))
end

function starttls.absent(report, words)
  record(report, false, false, false, words and "TLS not available: " .. words or "TLS not available.")
end

function starttls.refused(report, words, advertised)
  report("starttls_reply", words, false)
  record(report, advertised, false, false, "TLS not available: " .. words)
end

-- Injected plain text is named by a warning of the scan's own, which quotes it.
local function failed(report, fault, advertised)
  local text = "TLS accepted, but it does not work: " .. tostring(fault)
  if fault.code == "plaintext-at-starttls" then text = "TLS accepted, but plain text follows the reply." end
  report("starttls_error", { phase = fault.phase, code = fault.code, message = fault.message }, false)
  record(report, advertised, true, false, text)
end

-- That there was no time left for it says nothing of the server's TLS.
local function out_of_time(report, fault, advertised)
  record(report, advertised, true, false, false)
  error(fault, 0)
end

function starttls.upgrade(conn, report, advertised)
  local ok, fault = pcall(conn.starttls, conn)
  if ok then
    local words = advertised == false and "TLS available, though not advertised." or "TLS available."
    record(report, advertised, true, true, words)
  elseif scan.is_error(fault) and fault.phase == "deadline" then
    out_of_time(report, fault, advertised)
  elseif scan.is_error(fault) then
    failed(report, fault, advertised)
  else
    error(fault, 0)
  end
  return ok
end

return starttls
