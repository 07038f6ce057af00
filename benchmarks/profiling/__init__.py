"""What a device can do, measured there from a kit of probes that a workstation wrote.

Imported by `compress.latency` and above, which write kits, time the same probes on this machine,
and read profiles. Read `kit.py` first. Needs numpy, tokenizers and a runtime, nothing else.
"""
