"""``cf.fit`` and ``cf.diff``: single calls over all the packages below."""
