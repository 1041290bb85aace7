-- LDAP (RFC 4511), also over TLS: whether the port is open. The client speaks first.
return {
  about = "LDAP directory",
  services = { { name = "ldap", port = 389 }, { name = "ldaps", port = 636, tls = true } },
}
