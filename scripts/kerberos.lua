-- Kerberos (RFC 4120 section 7.2.2): whether the port is open. The client speaks first.
return {
  about = "Kerberos key distribution",
  services = { { name = "kerberos", port = 88 } },
}
