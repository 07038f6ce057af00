"""`transformers.pipeline` behind the framework of `edgepress serve`, as people write it.

    python pipeline_server.py MODEL FILE    # FILE gets the port

It speaks as much of the Open Inference Protocol as the load test sends.
"""

import asyncio
import socket
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route
from transformers import pipeline

model, told = sys.argv[1], Path(sys.argv[2])
classify = pipeline("text-classification", model, device="cpu")
one_thread = ThreadPoolExecutor(1)  # PyTorch is parallel itself


async def infer(request: Request) -> JSONResponse:
    """Answer one text."""
    asked = await request.json()
    [text] = asked["inputs"][0]["data"]
    [best] = await asyncio.get_running_loop().run_in_executor(one_thread, classify, text)
    outputs = [
        {"name": name, "datatype": kind, "shape": [1], "data": [best[name]]}
        for name, kind in (("label", "BYTES"), ("score", "FP32"))
    ]
    return JSONResponse({"id": asked["id"], "outputs": outputs})


listener = socket.create_server(("127.0.0.1", 0), backlog=2048)
partial = told.with_suffix(".partial")
partial.write_text(str(listener.getsockname()[1]))
partial.rename(told)
app = Starlette(routes=[Route("/v2/models/{name}/infer", infer, methods=["POST"])])
uvicorn.Server(uvicorn.Config(app, log_level="error", access_log=False)).run(sockets=[listener])
