-- TLS from the first byte, and nothing after it: what the benchmark compares with a bare SSL_connect.
return {
  about = "a TLS handshake",
  services = { { name = "handshake", tls = true, optional = true } },
}
