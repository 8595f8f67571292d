"""The demo month: the files a fictitious operator would leave behind, and what they must come to.

Nordlys Mobil AS does not exist. Its switches, order systems and bank write a month of files in real
formats, the same bytes for the same arguments. The arithmetic of `expected.json` is done here a
second time, on purpose: nothing in the project imports this package, and it imports nothing of the
project but `ledger.errors`. So when both agree, two independent readings of the contract agree.
"""
