#!/usr/bin/python3
"""POP2 and POP3: the greeting, STLS."""
from fake import case, run

run()
