"""The roles of a table's columns, found by column names and by contents."""
