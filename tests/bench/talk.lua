-- The words of an SMTP probe and nothing else: what a script costs that judges and reports nothing.
return {
  about = "the benchmark's mail conversation",
  services = { { name = "talk" } },
  probe = function(conn)
    conn:readline()
    conn:write("EHLO [127.0.0.1]\r\n")
    conn:readwhile("^250%-")
    conn:write("STARTTLS\r\n")
    conn:readline()
    conn:write("QUIT\r\n")
    conn:readline()
  end,
}
