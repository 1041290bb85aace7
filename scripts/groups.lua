-- Names for lists of services, as in `scan -s @mail host`. Without -s it is @default, in this order.
return {
  default = {
    "telnet", "ssh", "smtp", "submission", "smtps", "pop2", "pop3", "imap", "imaps", "pop3s",
    "ftp", "http", "https", "ipp", "kerberos", "ldap", "ldaps",
  },
  mail = { "smtp", "submission", "smtps", "pop2", "pop3", "imap", "imaps", "pop3s" },
  web = { "http", "https", "ipp" },
  login = { "telnet", "ssh" },
  directory = { "kerberos", "ldap", "ldaps" },
  databases = { "mysql", "postgres", "redis", "rediss" },
  tls = { "smtps", "imaps", "pop3s", "https", "ldaps" },
  starttls = { "smtp", "submission", "pop3", "imap", "ftp" },
}
