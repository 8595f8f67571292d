"""The desk: server-rendered pages for accountants, collectors, operations and auditors."""
