"""What the server is asked in: the hub's API, the Open Inference Protocol, OpenAI's API.

One file a protocol; `openapi.py` describes all of them. Imported by `runtimes.serving` alone. Read
`hub_api.py` first.
"""
