"""Readers of table formats, one file each; they return a :class:`cofactor.data.tables.Table`."""
