"""Formats of tables, one file each: what opens them as a :class:`cofactor.data.tables.Table`."""
