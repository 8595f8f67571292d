"""The formats that reporting writes, one module per format; no database, no clock."""
