"""Functions over a fitted model: predict, recommend, similar items, filters, updates. ``Fitted`` is what they share."""
