"""A host on which nothing listens."""
from lab import Server


class Nobody(Server):
    name, address = "nobody", "127.78.0.15"

    def start(self):
        pass

    def expect(self):
        return {}


SERVERS = [Nobody]
