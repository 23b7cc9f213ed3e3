"""The cluster example on "two hosts": Spark's master and two workers, each a process with a folder of its own.

python examples/two_hosts.py [FOLDER]      # FOLDER: what both see; kept, so that a second run goes on with it

On real hosts the same three commands run on three machines (docs/clusters.md).
"""

import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from tempfile import mkdtemp

import pyspark

here = Path(__file__).resolve().parent
shared = Path(sys.argv[1] if len(sys.argv) > 1 else mkdtemp()).absolute()
spark_class = Path(pyspark.__file__).parent / "bin" / "spark-class"
with socket.socket() as free:
    free.bind(("127.0.0.1", 0))
    port = free.getsockname()[1]
master = f"spark://127.0.0.1:{port}"
environment = {
    **os.environ,
    "SPARK_LOCAL_IP": "127.0.0.1",
    "PYSPARK_PYTHON": sys.executable,
    "PYTHONPATH": os.pathsep.join(p for p in sys.path if p and p != str(here)),
}


def start(name: str, *arguments: str) -> subprocess.Popen:
    """A process of Spark, in a folder that only it uses."""
    place = Path(mkdtemp(prefix=f"{name}-"))
    command = [str(spark_class), f"org.apache.spark.deploy.{arguments[0]}", *arguments[1:]]
    print(f"{name}: {place}", flush=True)
    with open(place / "log", "wb") as log:
        return subprocess.Popen(command, cwd=place, env=environment, stdout=log, stderr=log)


processes = [start("master", "master.Master", "--host", "127.0.0.1", "--port", str(port), "--webui-port", "0")]
try:
    for n in (1, 2):
        folder = mkdtemp(prefix=f"host-{n}-work-")
        arguments = ("--host", "127.0.0.1", "--cores", "1", "--memory", "1g", "--webui-port", "0", "--work-dir", folder)
        processes.append(start(f"host-{n}", "worker.Worker", *arguments, master))
    time.sleep(5)
    done = subprocess.run([sys.executable, str(here / "cluster.py"), master, str(shared)], env=environment)
finally:
    for process in reversed(processes):
        process.terminate()
        process.wait()
sys.exit(done.returncode)
