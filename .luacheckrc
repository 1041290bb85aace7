-- Probes see Lua 5.4 without what their sandbox takes away, and `scan`.
std = "lua54"
read_globals = { "scan" }
not_globals = { "collectgarbage", "coroutine", "debug", "dofile", "io", "load", "loadfile", "os", "package", "print" }
max_line_length = 120
