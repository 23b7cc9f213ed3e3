"""What training says goes to a log file in place of the screen."""

import logging
from pathlib import Path

import cofactor as cf

logging.getLogger("cofactor").addHandler(logging.FileHandler("training.log"))
logging.getLogger("cofactor").setLevel(logging.INFO)

cf.fit(cf.load_dataset("movietweetings-demo"), model="dot-bias", epochs=2, verbose=True)
print(Path("training.log").read_text())
