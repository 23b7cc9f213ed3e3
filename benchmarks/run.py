"""All benchmarks, or some of them: cofactor and its rivals side by side on this machine.

    python benchmarks/run.py                        everything (about an hour; environments of rivals are built once)
    python benchmarks/run.py --only notebook top_n  some jobs
    python benchmarks/run.py --quick                tiny settings, to see that it all runs; writes to .cache/quick
    python benchmarks/run.py --list

Each job is a script in jobs/, run in a process of its own, one after the other, and writes results/NAME.md. Wants
ml-100k and ml-1m in $COFACTOR_DATA_DIR (or downloads them), and nothing else running on the machine.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).parent
JOBS = {path.stem: path for path in sorted((HERE / "jobs").glob("*.py"))}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=sorted(JOBS), default=sorted(JOBS), metavar="JOB")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--list", action="store_true", help="the jobs, a line each")
    asked = parser.parse_args()
    if asked.list:
        for name, path in JOBS.items():
            print(f"{name:15} {path.read_text(encoding='utf-8').partition(chr(10))[0].strip(chr(34))}")
        return 0
    more = {"PYTHONPATH": os.pathsep.join([str(HERE), *filter(None, [os.environ.get("PYTHONPATH")])])}
    more |= {"COFACTOR_BENCH_QUICK": "1"} if asked.quick else {}
    if "COFACTOR_DATA_DIR" not in os.environ:
        from cofactor.data.datasets import dataset_path

        more["COFACTOR_DATA_DIR"] = str(dataset_path("ml-100k").parent)  # downloaded where it is not there yet
    failed = []
    for name in asked.only:
        start = time.perf_counter()
        print(f"--- {name} (load {os.getloadavg()[0]:.1f})", file=sys.stderr, flush=True)
        done = subprocess.run([sys.executable, str(JOBS[name])], check=False, env=os.environ | more)
        print(f"--- {name}: {time.perf_counter() - start:.0f} s", file=sys.stderr, flush=True)
        failed += [name] if done.returncode else []
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
