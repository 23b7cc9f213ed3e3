"""The data doctor: examines a table and recommends what to do about each finding."""
