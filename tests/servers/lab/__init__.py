"""What the servers of this folder share; a server's file needs nothing but these names."""
from .expectation import ACCEPTED, NOT_OFFERED, OFFERED, Open, connects, failed, weak, greeting, refused, told, web
from .server import Server, output_of, version_of
from .web_server import WebServer

__all__ = ["ACCEPTED", "NOT_OFFERED", "OFFERED", "Open", "connects", "failed", "greeting", "output_of",
           "refused", "told", "version_of", "web", "Server",
           "WebServer"]
