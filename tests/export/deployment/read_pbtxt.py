"""Prints a config.pbtxt as JSON, read as Triton's message:  python read_pbtxt.py FILE"""

import json
import sys
from pathlib import Path

from google.protobuf import json_format, text_format
from tritonclient.grpc.model_config_pb2 import ModelConfig

text = Path(sys.argv[1]).read_text(encoding="utf-8")
message = text_format.Parse(text, ModelConfig())
sys.stdout.write(json.dumps(json_format.MessageToDict(message)))
