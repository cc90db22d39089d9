"""Platform properties of the targets; BazelWorkspace.use_worker_keys writes this file anew."""

PYTHON = {"persistentWorkerKey": "python"}
SILO = {"persistentWorkerKey": "python", "cache-silo-key": "blue"}
JSON = {"persistentWorkerKey": "python", "persistentWorkerProtocol": "json"}
JAVA = {"persistentWorkerKey": "java"}
BROKEN = {"persistentWorkerKey": "broken"}
