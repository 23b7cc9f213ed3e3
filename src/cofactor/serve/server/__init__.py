"""The processes of a server: sockets, event loop, workers, log lines."""
