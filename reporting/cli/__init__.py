"""The commands of reporting: bill, render, show, report. Each opens its own transactions."""
