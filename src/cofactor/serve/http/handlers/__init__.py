"""Request handlers: plain functions whose results the application serialises to JSON."""
