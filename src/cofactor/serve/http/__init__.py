"""The HTTP interface: routes, the form of requests, handlers, answers, errors."""
