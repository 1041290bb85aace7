-- Leaving politely: say so and hear the answer.
--
--   local farewell = require "farewell"
--
-- farewell(conn, command [, last])
--   Sends the command and waits, two seconds at most, for a line that fits the pattern `last` (default:
--   any). All is known by now, so nothing that goes wrong here matters.
local PATIENCE = 2

local function leave(conn, command, last)
  conn:write(command, "\r\n")
  conn:readuntil(last, nil, PATIENCE)
end

return function(conn, command, last)
  pcall(leave, conn, command, last or "")
end
