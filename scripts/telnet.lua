-- Telnet (RFC 854): whether the port is open. Options are what a server speaks of first.
return {
  about = "Telnet login",
  services = { { name = "telnet", port = 23 } },
  greeting = "^\255[\251-\254]",
}
