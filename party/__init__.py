"""The party room: who uses, who pays, and from when to when."""
