-- Leaving politely: say so and hear the answer.
--
--   local farewell = require "farewell"
--
-- farewell(conn, command [, last])
--   Sends the command and waits, two seconds at most, for a line that fits the pattern `last` (default:
--   any). All is known by now, so nothing that goes wrong here matters.
local PATIENCE = 2
local LINES = 16

local function hear_out(conn, last)
  local due = scan.now() + PATIENCE
  for _ = 1, LINES do
    if conn:readline(math.max(0, due - scan.now())):find(last) then return end
  end
end

return function(conn, command, last)
  pcall(function()
    conn:write(command, "\r\n")
    hear_out(conn, last or "")
  end)
end
