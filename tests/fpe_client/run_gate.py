"""Runs the gate on one message, as Flower would: `python run_gate.py RECORD_FILE MESSAGE_TYPE`.

Prints as JSON what came back, and which heavy packages were imported for it.
"""

import json
import pickle
import sys
import warnings
from pathlib import Path

warnings.simplefilter("ignore", DeprecationWarning)

from flwr.app import Context, Message, RecordDict  # noqa: E402
from flwr.supercore.task_identity import TaskIdentity  # noqa: E402

from fpe_client.app import app  # noqa: E402

record_file, message_type = sys.argv[1:]
record = pickle.loads(Path(record_file).read_bytes())  # noqa: S301 - written by the test
TaskIdentity.task_id = TaskIdentity.run_id = TaskIdentity.node_id = 1
message = Message(record, dst_node_id=1, message_type=message_type)
message.metadata.__dict__["_message_id"] = message.object_id
context = Context(run_id=1, node_id=1, node_config={}, state=RecordDict(), run_config={})
reply = app(message=message, context=context)
state = reply.content.array_records.get("state")
out = {
    "header": json.loads(str(reply.content.config_records["header"]["json"])),
    "records": sorted(reply.content),
    "values": state["flat"].numpy().tolist() if state else None,
    "heavy": sorted(
        {"torch", "monai", "SimpleITK", "ants", "nibabel", "opacus", "fpe_client.handlers"} & set(sys.modules)
    ),
}
print(json.dumps(out))
