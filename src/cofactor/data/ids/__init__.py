"""Ids and their int32 codes."""
