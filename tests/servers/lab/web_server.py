"""What the web servers have in common: a log of requests that says how they were visited."""
import re

from .server import Server


class WebServer(Server):
    """Its log has a line for each request: the client's address, "request", status, "host", and more."""
    requests = {}  # what one visit to all of its services must leave there: {status: count}

    def proof(self, tap, visits):
        for status, count in self.requests.items():
            request = rf'^127\.0\.0\.1 "HEAD / HTTP/1\.1" {status} "{re.escape(self.address)}"'
            self.shows(tap, f"each visit was a HEAD with Host, answered {status}", request, count * visits)
        self.shows(tap, "no visit asked for anything else", r'^127\.0\.0\.1 "[A-Z]',
                   sum(self.requests.values()) * visits)
